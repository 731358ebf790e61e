"""Signing in and out, and tokens for programs."""

import json
import re
from collections.abc import Callable

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import Console
from tests.browser.steps import ANALYST, PASSWORD, ask_probe, sign_in, value
from tests.support.stack import Stack

ASKED = {"features": {"x": 20, "seconds": 0}}


def test_sign_in_leads_back_and_sign_out_ends_it(page: Page) -> None:
    page.goto("/models/iris/")
    page.get_by_role("link", name="Sign in").click()
    page.get_by_label("Username").fill(ANALYST)
    page.get_by_label("Password").fill("not this one")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#error-summary")).to_contain_text("Please enter a correct username and password.")
    page.get_by_label("Username").fill(ANALYST)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/models/iris/$"))
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    page.goto("/accounts/tokens/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_own_predictions_are_listed_newest_first(page: Page) -> None:
    asked = []
    for x in (20, 21):
        asked.append(ask_probe(page, x))
        value(page)
    page.get_by_role("link", name="My predictions").click()
    links = page.get_by_role("table").get_by_role("link")
    assert [link.inner_text() for link in links.all()] == ["43", "41"]
    assert [link.get_attribute("href") for link in links.all()] == [f"/predictions/{one}/" for one in reversed(asked)]


def test_prediction_of_an_account_is_hidden_from_others(
    page: Page, new_context: Callable[..., BrowserContext], console: Console
) -> None:
    sign_in(page)
    asked = ask_probe(page, 20)
    other = new_context().new_page()
    response = other.goto(f"/predictions/{asked}/")
    assert response
    assert response.status == 404
    expect(other.get_by_role("heading", level=1)).to_have_text("There is nothing at this address")
    assert console.take() == ["Failed to load resource: the server responded with a status of 404 (Not Found)"]


def test_token_is_shown_once_works_and_can_be_revoked(page: Page, stack: Stack) -> None:
    sign_in(page)
    page.goto("/accounts/tokens/")
    page.get_by_label("Name").fill("a nightly script")
    page.get_by_role("button", name="Make it").click()
    secret = page.locator(".secret").inner_text()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy the token").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    expect(page.locator("#announcer")).to_have_text("The token is copied.")
    assert page.evaluate("navigator.clipboard.readText()") == secret
    page.reload()
    expect(page.locator(".secret")).to_have_count(0)
    expect(page.get_by_role("row", name="a nightly script")).to_have_count(1)
    headers = {"Authorization": f"Bearer {secret}", "Prefer": "wait=10"}
    answered = stack.client.post("/api/v1/models/probe/predictions/", json=ASKED, headers=headers)
    assert (answered.status_code, answered.json()["output"]["value"]) == (200, 41)

    page.goto("/accounts/tokens/")
    expect(page.locator(".secret")).to_have_count(0)
    assert secret not in page.content()
    row = page.get_by_role("row", name="a nightly script")
    expect(row.get_by_text("never")).to_have_count(0)
    row.get_by_role("link", name="Revoke").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Revoke “a nightly script”?")
    page.get_by_role("button", name="Revoke it").click()
    expect(row).to_have_count(0)
    refused = stack.client.post("/api/v1/models/probe/predictions/", json=ASKED, headers=headers)
    assert refused.status_code == 401


def test_answer_asked_by_token_is_among_ones_own(page: Page, stack: Stack) -> None:
    sign_in(page)
    page.goto("/accounts/tokens/")
    page.get_by_label("Name").fill("a script")
    page.get_by_role("button", name="Make it").click()
    headers = {"Authorization": f"Bearer {page.locator('.secret').inner_text()}"}
    asked = stack.client.post("/api/v1/models/probe/predictions/", json=ASKED, headers=headers).json()
    page.goto("/predictions/")
    expect(page.locator(f"a[href='/predictions/{asked['id']}/']")).to_be_visible()


def test_own_data_is_taken_away_and_then_removed(page: Page, console: Console) -> None:
    sign_in(page)
    asked = ask_probe(page, 20)
    value(page)
    page.get_by_role("link", name="Account").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download my data").click()
    taken = json.loads(download.value.path().read_text())
    assert taken["predictions"][0]["id"] == asked

    page.get_by_role("link", name="Remove my data…").click()
    page.get_by_role("button", name="Remove everything").click()
    expect(page.get_by_text("Your predictions, feedback, tokens and embeddings are removed.")).to_be_visible()
    page.goto(f"/predictions/{asked}/")
    expect(page.get_by_role("heading", level=1)).to_have_text("This prediction was removed")
    assert console.take() == ["Failed to load resource: the server responded with a status of 410 (Gone)"]
    page.get_by_role("link", name="My predictions").click()
    expect(page.get_by_text("Nothing asked yet")).to_be_visible()
