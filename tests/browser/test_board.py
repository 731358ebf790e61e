"""The analysts' board, live."""

import re
from collections.abc import Callable

from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.conftest import Console
from tests.browser.steps import answer, ask_probe, sign_in
from tests.support.stack import Stack
from tests.support.waiting import wait_until

FLOWER = {"sepal length (cm)": 6.3, "sepal width (cm)": 2.8, "petal length (cm)": 5.1, "petal width (cm)": 1.5}


def test_new_prediction_appears_by_itself(page: Page, stack: Stack) -> None:
    sign_in(page)
    page.goto("/monitor/")
    asked = stack.submit("iris", FLOWER)
    row = _row(page, asked)
    expect(row).to_be_visible()
    expect(row).to_have_class("is-new")
    row.get_by_role("link").click()
    expect(answer(page, "succeeded")).to_contain_text("virginica")


def test_filter_shows_one_model_and_goes_on_so(page: Page, stack: Stack) -> None:
    stack.submit("iris", FLOWER)
    sign_in(page)
    page.goto("/monitor/")
    page.get_by_label("Model").select_option("Probe")
    page.get_by_label("State").select_option("Failed")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile(r"/monitor/\?model=probe&state=failed$"))
    expect(page.get_by_label("Model")).to_have_value("probe")

    ids = [stack.submit("probe", {"x": x, "seconds": 0}) for x in (20, 1_000_001)] + [stack.submit("iris", FLOWER)]
    expect(_row(page, ids[1])).to_be_visible()
    models = page.locator("#feed tbody td[data-label='Model']").all_inner_texts()
    states = page.locator("#feed tbody .state").all_inner_texts()
    assert set(zip(models, states, strict=True)) == {("Probe v1", "Failed")}


def test_paused_board_stands_still(page: Page, stack: Stack) -> None:
    page.clock.install()
    sign_in(page)
    page.goto("/monitor/")
    pause = page.get_by_role("button", name="Pause")
    pause.click()
    expect(pause).to_have_attribute("aria-pressed", "true")
    polls: list[str] = []
    page.on("request", lambda request: polls.append(request.url) if "/feed/" in request.url else None)
    asked = stack.submit("iris", FLOWER)
    stack.wait_for_end([asked], 10)
    page.clock.run_for(60_000)
    assert polls == []
    expect(_row(page, asked)).to_have_count(0)
    pause.click()
    expect(_row(page, asked)).to_be_visible()


def test_board_goes_on_after_errors(page: Page, stack: Stack, console: Console) -> None:
    sign_in(page)
    page.goto("/monitor/")
    failed: list[str] = []
    page.route("**/monitor/feed/*", lambda route: (failed.append(route.request.url), route.fulfill(status=500)))
    wait_until(lambda: (page.title(), len(failed))[1] > 1, 15, "two polls have failed")
    page.unroute("**/monitor/feed/*")
    asked = stack.submit("iris", FLOWER)
    expect(_row(page, asked)).to_be_visible()
    console.take()


def test_board_requires_a_sign_in(page: Page, new_context: Callable[..., BrowserContext]) -> None:
    page.goto("/")
    expect(page.get_by_role("link", name="Monitor")).to_have_count(0)
    page.goto("/monitor/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_analyst_sees_the_predictions_of_others(page: Page, new_context: Callable[..., BrowserContext]) -> None:
    visitor = new_context().new_page()
    asked = ask_probe(visitor, 20)
    sign_in(page)
    page.goto("/monitor/")
    expect(_row(page, asked)).to_be_visible()
    page.goto("/predictions/")
    expect(page.locator(f"a[href='/predictions/{asked}/']")).to_have_count(0)


def _row(page: Page, prediction_id: str) -> Locator:
    return page.locator("#feed tbody tr", has=page.locator(f"a[href='/predictions/{prediction_id}/']"))
