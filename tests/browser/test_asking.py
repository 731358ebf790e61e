"""From the form to the answer."""

import re
import tomllib
from collections.abc import Callable
from http import HTTPStatus
from statistics import median

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from project.env import BASE_DIR
from tests.browser.conftest import Console
from tests.browser.steps import ask_probe, predict_tumour, prediction_id, press_predict, value
from tests.support.stack import Stack

DEMO_MODELS = {
    path.parent.name: tomllib.loads(path.read_text()) for path in sorted(BASE_DIR.glob("ml_models/*/model.toml"))
}
# Measures the time from the click until the answer has been drawn. The script runs in the page, so the time between the
# test and the browser is not counted.
TIME_TO_ANSWER = """() => new Promise((resolve) => {
  const began = performance.now();
  new MutationObserver((_, observer) => {
    if (!document.querySelector(".answer[data-state='succeeded']")) return;
    observer.disconnect();
    requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - began)));
  }).observe(document.getElementById("answer"), { childList: true, subtree: true });
  document.querySelector("#prediction-form button[type=submit]").click();
})"""


def test_result_appears_by_itself(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    predict_tumour(page)
    expect(value(page)).to_have_text("malignant")
    expect(page.locator(".bar.is-answer .bar-label")).to_have_text("malignant")

    page.goto("/models/breast-cancer/")
    page.get_by_role("link", name="A typical benign sample").click()
    milliseconds = []
    for number in range(5):
        page.get_by_label("Radius, mean").fill(f"{13 + number / 10}")
        milliseconds.append(page.evaluate(TIME_TO_ANSWER))
    with capsys.disabled():
        print(f"\nFrom Predict to the drawn answer: {median(milliseconds):.0f} ms (median of {len(milliseconds)})")


def test_address_keeps_the_result(page: Page, new_context: Callable[..., BrowserContext]) -> None:
    predict_tumour(page)
    expect(value(page)).to_have_text("malignant")
    prediction_id(page)
    page.reload()
    expect(value(page)).to_have_text("malignant")

    elsewhere = new_context().new_page()
    elsewhere.goto(page.url)
    expect(value(elsewhere)).to_have_text("malignant")
    expect(elsewhere.get_by_role("row", name="Radius, mean")).to_have_text(re.compile(r"^Radius, mean\s*\d"))


@pytest.mark.parametrize("name", DEMO_MODELS)
def test_demo_model_answers_each_example(page: Page, stack: Stack, name: str) -> None:
    page.goto(f"/models/{name}/")
    expect(page.get_by_role("heading", level=1)).to_have_text(DEMO_MODELS[name]["title"])
    shown = []
    for example in DEMO_MODELS[name]["examples"]:
        page.get_by_role("link", name=example["title"], exact=True).click()
        with page.expect_response("**/predictions/") as response:
            press_predict(page)
        asked = response.value.headers["hx-push-url"].split("/")[2]
        shown.append((page.locator(f"#prediction-{asked} .answer-value").inner_text(), asked))
    outputs = [stack.get(asked)["output"] for _, asked in shown]
    if DEMO_MODELS[name]["task"] == "classification":
        assert [text for text, _ in shown] == [output["label"] for output in outputs]
    else:
        for (text, _), output in zip(shown, outputs, strict=True):
            low, high = output["interval"]
            assert float(text.split()[0]) == pytest.approx(output["value"], abs=(high - low) / 4)


def test_example_without_script_is_a_link_to_the_filled_in_form(plain_page: Page) -> None:
    plain_page.goto("/models/iris/")
    plain_page.get_by_role("link", name="A setosa").click()
    values = [field.input_value() for field in plain_page.locator("#prediction-form input[data-number]").all()]
    assert values == [f"{number:g}" for number in DEMO_MODELS["iris"]["examples"][0]["values"].values()]


def test_invalid_input_is_answered_in_place(page: Page, console: Console) -> None:
    page.goto("/models/iris/")
    page.get_by_role("link", name="A setosa").click()
    page.get_by_label("Sepal length").fill("-1")
    page.get_by_label("Petal length").fill("")
    with page.expect_response("**/models/iris/predictions/") as response:
        press_predict(page)
    assert response.value.status == 422
    assert page.url.endswith("/models/iris/")

    summary = page.locator("#error-summary")
    expect(summary).to_be_focused()
    assert summary.get_by_role("link").all_inner_texts() == ["Sepal length", "Petal length"]
    assert page.locator("[aria-invalid]").count() == 2
    labels = ("Sepal length", "Sepal width", "Petal length", "Petal width")
    assert [page.get_by_label(label).input_value() for label in labels] == ["-1", "3.5", "", "0.2"]
    summary.get_by_role("link", name="Petal length").click()
    expect(page.get_by_label("Petal length")).to_be_focused()
    assert console.take() == [
        f"Failed to load resource: the server responded with a status of 422 ({HTTPStatus(422).phrase})"
    ]

    page.get_by_label("Sepal length").fill("5.1")
    page.get_by_label("Petal length").fill("1.4")
    press_predict(page)
    expect(value(page)).to_have_text("setosa")
    expect(page.locator("#error-summary")).to_have_count(0)


def test_value_corrected_loses_its_message(page: Page, console: Console) -> None:
    page.goto("/models/iris/?example=1")
    page.get_by_label("Sepal length").fill("-1")
    press_predict(page)
    expect(page.locator("[aria-invalid]")).to_have_count(1)
    page.get_by_label("Sepal length").fill("5")
    expect(page.locator(".field [aria-invalid], .field .field-error")).to_have_count(0)
    console.take()


def test_double_click_asks_once(page: Page) -> None:
    page.goto("/models/iris/")
    page.get_by_role("link", name="A setosa").click()
    page.get_by_role("button", name="Predict").dblclick()
    expect(value(page)).to_have_text("setosa")
    page.goto("/predictions/")
    assert page.locator(".record-link").all_inner_texts() == ["setosa"]


def test_same_values_sent_again_show_the_same_prediction(page: Page) -> None:
    page.goto("/models/iris/")
    page.get_by_role("link", name="A setosa").click()
    press_predict(page)
    expect(value(page)).to_have_text("setosa")
    first = prediction_id(page)
    with page.expect_response("**/models/iris/predictions/"):
        press_predict(page)
    expect(value(page)).to_have_text("setosa")
    assert prediction_id(page) == first
    page.goto("/predictions/")
    assert page.locator(".record-link").all_inner_texts() == ["setosa"]


def test_back_shows_the_form_with_its_values(page: Page) -> None:
    page.goto("/")
    page.goto("/models/iris/")
    page.get_by_role("link", name="A virginica").click()
    page.get_by_label("Petal width").fill("2.25")
    press_predict(page)
    expect(value(page)).to_have_text("virginica")
    asked = prediction_id(page)

    page.go_back()
    expect(page).to_have_url(re.compile("/models/iris/$"))
    expect(page.get_by_label("Petal width")).to_have_value("2.25")
    page.go_forward()
    assert prediction_id(page) == asked
    expect(value(page)).to_have_text("virginica")
    expect(page.get_by_role("heading", name="What was asked")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("button", name="Predict")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("What would you like to know?")


def test_back_from_another_page_shows_the_result(page: Page) -> None:
    predict_tumour(page)
    expect(value(page)).to_have_text("malignant")
    page.get_by_role("link", name="My predictions").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("My predictions")
    page.go_back()
    expect(value(page)).to_have_text("malignant")


def test_ask_again_starts_with_the_same_values(page: Page) -> None:
    ask_probe(page, 20)
    expect(value(page)).to_have_text("41")
    page.reload()
    page.get_by_role("link", name="Ask again with these values").click()
    expect(page.get_by_label("x", exact=True)).to_have_value("20")
    page.get_by_label("x", exact=True).fill("21")
    press_predict(page)
    expect(value(page)).to_have_text("43")


def test_keyboard_alone_reaches_the_result(page: Page) -> None:
    page.goto("/models/iris/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    _tab_to(page, "a.chip")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Sepal length")).to_have_value("5.1")
    _tab_to(page, "#prediction-form button")
    page.keyboard.press("Enter")
    expect(value(page)).to_have_text("setosa")
    expect(page.locator(".answer")).to_be_focused()
    _tab_to(page, ".answer-permalink")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="What was asked")).to_be_visible()


# --- Beside the form --------------------------------------------------------------------------------------------------
def test_answer_beside_changed_values_is_marked(page: Page) -> None:
    stale = page.get_by_text("The values in the form are not those of this answer.")
    page.goto("/models/iris/?example=1")
    press_predict(page)
    expect(value(page)).to_have_text("setosa")
    expect(stale).to_be_hidden()
    length = page.get_by_label("Sepal length")
    length.fill("5.2")
    expect(stale).to_be_visible()
    length.fill("5.1")
    expect(stale).to_be_hidden()
    page.get_by_role("link", name="A virginica").click()
    expect(stale).to_be_visible()
    press_predict(page)
    expect(value(page)).to_have_text("virginica")
    expect(stale).to_be_hidden()


def test_answer_beside_refused_values_is_marked(page: Page, console: Console) -> None:
    page.goto("/models/iris/?example=1")
    press_predict(page)
    expect(value(page)).to_have_text("setosa")
    page.get_by_label("Sepal length").fill("abc")
    press_predict(page)
    expect(page.locator("#error-summary")).to_contain_text("“abc” is not a number.")
    expect(page.get_by_text("The values in the form are not those of this answer.")).to_be_visible()
    expect(page.get_by_label("Sepal length")).to_have_value("abc")
    console.take()


def test_title_and_focus_follow_what_happens(page: Page, console: Console) -> None:
    page.goto("/models/iris/?example=1")
    expect(page).to_have_title("Iris species · Foretell")
    page.get_by_label("Sepal length").fill("")
    page.get_by_label("Sepal length").press("Enter")
    expect(page.locator("#error-summary")).to_be_focused()
    expect(page).to_have_title("1 error: Iris species · Foretell")
    page.get_by_label("Sepal length").fill("5,1")
    page.get_by_label("Sepal length").press("Enter")
    expect(value(page)).to_have_text("setosa")
    expect(page.locator(".answer")).to_be_focused()
    expect(page).to_have_title(re.compile("^setosa · .*Iris species · Foretell$"))
    console.take()


@pytest.mark.parametrize("script", [True, False])
def test_reload_and_back_keep_what_was_typed(new_context: Callable[..., BrowserContext], script: bool) -> None:
    page = new_context(java_script_enabled=script).new_page()
    page.goto("/models/iris/")
    page.get_by_label("Sepal length").fill("5,")
    page.get_by_role("link", name="My predictions").click()
    page.go_back()
    expect(page.get_by_label("Sepal length")).to_have_value("5,")


def _tab_to(page: Page, selector: str) -> None:
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    pytest.fail(f"no number of tabs leads to {selector}")
