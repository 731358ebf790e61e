"""From the form to the answer without JavaScript: links, forms and pages that reload themselves."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import FEW_ATTEMPTS, Console
from tests.browser.steps import (
    answer,
    ask_probe,
    freeze_workers,
    predict_tumour,
    prediction_id,
    press_predict,
    thaw_workers,
    value,
)
from tests.support.stack import Stack


def test_result_appears(plain_page: Page) -> None:
    plain_page.goto("/models/iris/?example=1")
    with plain_page.expect_response("**/models/iris/predictions/") as response:
        press_predict(plain_page)
    assert response.value.status == 303
    prediction_id(plain_page)
    expect(value(plain_page)).to_have_text("setosa")
    assert plain_page.locator("meta[http-equiv='refresh']").count() == 0


def test_page_reloads_itself_until_the_result(plain_page: Page, stack: Stack) -> None:
    freeze_workers(stack)
    asked = ask_probe(plain_page, 20)
    answer(plain_page, "queued")
    with plain_page.expect_navigation(url=f"**/predictions/{asked}/?attempt=2"):
        pass
    answer(plain_page, "queued")
    thaw_workers(stack)
    expect(value(plain_page)).to_have_text("41")


def test_capped_page_no_longer_reloads_and_has_a_link(plain_page: Page, stack: Stack, impatient_url: str) -> None:
    freeze_workers(stack)
    asked = ask_probe(plain_page, 20, base_url=impatient_url)
    again = plain_page.get_by_role("link", name="Check again")
    expect(again).to_be_visible()
    assert plain_page.url.endswith(f"?attempt={FEW_ATTEMPTS}")
    assert plain_page.locator("meta[http-equiv='refresh']").count() == 0
    thaw_workers(stack)
    stack.wait_for_end([asked], 10)
    again.click()
    expect(value(plain_page)).to_have_text("41")


def test_invalid_input_keeps_the_values(plain_page: Page, console: Console) -> None:
    plain_page.goto("/models/iris/?example=1")
    plain_page.get_by_label("Sepal length").fill("-1")
    with plain_page.expect_response("**/models/iris/predictions/") as response:
        press_predict(plain_page)
    assert response.value.status == 422
    summary = plain_page.locator("#error-summary")
    expect(summary).to_be_focused()
    assert summary.get_by_role("link").all_inner_texts() == ["Sepal length"]
    assert plain_page.get_by_label("Sepal length").input_value() == "-1"
    assert plain_page.get_by_label("Sepal width").input_value() == "3.5"
    assert plain_page.title() == "1 error: Iris species · Foretell"
    console.take()


def test_form_of_a_page_that_is_too_old_explains_itself(plain_page: Page, console: Console) -> None:
    plain_page.goto("/models/iris/?example=1")
    plain_page.context.clear_cookies()
    press_predict(plain_page)
    expect(plain_page.get_by_role("heading", level=1)).to_have_text("The page was open too long")
    # This page is rendered without the parts that may be broken, but it must have its style sheet.
    assert console.take() == ["Failed to load resource: the server responded with a status of 403 (Forbidden)"]
    expect(plain_page.locator(".mark")).to_have_css("width", "32px")


def test_cancel_and_try_again(plain_page: Page, stack: Stack) -> None:
    freeze_workers(stack)
    asked = ask_probe(plain_page, 20)
    plain_page.get_by_role("button", name="Cancel").click()
    answer(plain_page, "canceled")
    thaw_workers(stack)
    plain_page.get_by_role("button", name="Try again").click()
    expect(value(plain_page)).to_have_text("41")
    assert stack.states([asked]) == ["canceled"]


def test_feedback_is_noted(plain_page: Page) -> None:
    predict_tumour(plain_page)
    value(plain_page)
    plain_page.get_by_role("button", name="Yes").click()
    expect(plain_page.get_by_text("Thank you, noted.")).to_be_visible()
