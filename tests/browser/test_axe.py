"""axe-core finds nothing on the pages, light and dark, wide and at 320 pixels."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import Console
from tests.browser.steps import PASSWORD, press_predict, sign_in, value
from tests.support.axe import findings
from tests.support.stack import Stack

LOOKS: list[dict[str, Any]] = [
    {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}},
    {"color_scheme": "dark", "viewport": {"width": 320, "height": 800}},
    {"forced_colors": "active", "viewport": {"width": 1280, "height": 900}},
]
PAGES = [
    "/", "/models/breast-cancer/", "/models/diabetes/", "/models/breast-cancer/card/", "/models/diabetes/card/",
    "/models/diabetes/api/", "/predictions/", "/predictions/?q=nothing", "/accounts/login/", "/api/v1/docs/",
    "/admin/login/",
]  # fmt: skip


@pytest.fixture(params=LOOKS, ids=["light", "dark", "forced colours"])
def page(new_context: Callable[..., BrowserContext], request: pytest.FixtureRequest) -> Page:
    return new_context(reduced_motion="reduce", **request.param).new_page()


def test_pages_have_no_finding(page: Page) -> None:
    found = {}
    for path in PAGES:
        page.goto(path)
        found[path] = findings(page)
    assert {path: finding for path, finding in found.items() if finding} == {}


@pytest.mark.parametrize("address", ["/models/breast-cancer/?example=3", "/models/diabetes/?example=1"])
def test_answers_have_no_finding(page: Page, address: str) -> None:
    page.goto(address)
    press_predict(page)
    value(page)
    assert findings(page) == []
    page.get_by_role("link", name="Why this answer?").click()
    expect(page.locator(".why")).to_contain_text("moved the answer most")
    assert findings(page) == []
    page.get_by_role("link", name="What if?").click()
    expect(page.locator(".why .curve").first).to_be_visible()
    assert findings(page) == []
    kept = page.url
    page.goto(kept)
    expect(page).to_have_title(re.compile("Foretell$"))
    page.locator(".receipt summary").click()
    assert findings(page) == []
    for more in ("explanation/", "what-if/"):
        page.goto(f"{kept}{more}")
        expect(page.locator(".why .caption").first).to_be_visible()
        assert findings(page) == []


def test_two_results_side_by_side_have_no_finding(page: Page) -> None:
    for example in (1, 3):
        page.goto(f"/models/breast-cancer/?example={example}")
        press_predict(page)
        value(page)
    page.get_by_role("link", name="Compare").click()
    expect(page.locator(".records")).to_be_visible()
    assert findings(page) == []
    page.locator(".record-link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Two results side by side")
    expect(page.locator("[aria-labelledby='different-title'] mark")).to_have_count(30)
    assert findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.goto("/predictions/")
    expect(page.locator(".records tbody tr")).to_have_count(2)
    assert findings(page) == []


MAKE_OPERATOR = f"""
from django.contrib.auth.models import Group, User
User.objects.create_user("operator", password={PASSWORD!r}).groups.set(Group.objects.all())
"""


@pytest.fixture(scope="module")
def challenged(shared_stack: Stack) -> Stack:
    """iris has a second version, the challenger, and there is an operator."""
    shared_stack.manage("shell", "--no-imports", "-c", MAKE_OPERATOR)
    shared_stack.manage("train", "iris")
    shared_stack.manage("alias", "iris", "challenger", "2")
    return shared_stack


def test_versions_and_their_comparison_have_no_finding(challenged: Stack, page: Page) -> None:
    sign_in(page, "operator")
    page.goto("/models/iris/?example=1")
    press_predict(page)
    value(page)
    page.get_by_role("link", name="Link to this prediction").click()
    kept = page.url
    page.goto("/models/iris/versions/")
    assert findings(page) == []
    page.goto("/models/iris/versions/2/comparison/")
    assert findings(page) == []
    with page.expect_navigation():
        page.get_by_role("button", name="Start the replay").click()
    if page.locator("#replay").count():  # a replay that has ended already is shown at once
        page.get_by_role("link", name="Show the result").click()
    expect(page.get_by_role("heading", name="Agreement")).to_be_visible()
    assert findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.goto(f"{kept}replay/")
    assert findings(page) == []
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Two results side by side")
    expect(page.get_by_text("version 2 the later one")).to_be_visible()
    assert findings(page) == []


def test_german_pages_have_no_finding(new_context: Callable[..., BrowserContext]) -> None:
    page = new_context(locale="de-DE", reduced_motion="reduce", viewport={"width": 320, "height": 800}).new_page()
    found = {}
    for path in PAGES:
        page.goto(path)
        found[path] = findings(page)
    assert {path: finding for path, finding in found.items() if finding} == {}
    page.goto("/models/diabetes/?example=1")
    page.get_by_role("button", name="Vorhersagen").click()
    value(page)
    assert findings(page) == []


def test_errors_and_a_pasted_row_have_no_finding(page: Page, console: Console) -> None:
    page.goto("/models/breast-cancer/")
    page.get_by_text("Paste a row from a spreadsheet").click()
    page.locator("#paste-text").fill("1\t2\tabc")
    assert findings(page) == []
    press_predict(page)
    expect(page.locator("#error-summary")).to_be_visible()
    assert findings(page) == []
    console.take()
