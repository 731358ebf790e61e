"""Numbers in the browser: the script reads them as the server does, asks, and offers to fill a row."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import Console
from tests.browser.steps import prediction_id, press_predict, value
from tests.support.numbers import NUMBERS, REFUSED

LABELS = ("Sepal length", "Sepal width", "Petal length", "Petal width")


def values(page: Page) -> list[str]:
    return [page.get_by_label(label).input_value() for label in LABELS]


def paste(page: Page, label: str, text: str) -> None:
    page.get_by_label(label).focus()
    page.evaluate(
        """text => {
          const data = new DataTransfer();
          data.setData("text", text);
          const event = new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
          if (document.activeElement.dispatchEvent(event)) document.execCommand("insertText", false, text);
        }""",
        text,
    )


def test_script_reads_numbers_as_the_server_does(page: Page) -> None:
    page.goto("/models/iris/")

    def read(text: str, unit: str) -> Any:
        found = page.evaluate("([text, unit]) => readNumber(text, unit)", [text, unit])
        readings, cells = found.get("readings", []), found.get("cells", [])
        if len(readings) == 1:
            return float(readings[0])
        return "two_ways" if readings else "several" if len(cells) > 1 else "?"

    expected = [(text, number) for text, _, number in NUMBERS]
    expected += [(text, "?" if code.startswith("?") else code) for text, _, code in REFUSED]
    assert [(text, read(text, unit)) for text, unit, _ in [*NUMBERS, *REFUSED]] == expected


def test_reading_is_shown_where_it_is_not_the_text_itself(page: Page) -> None:
    page.goto("/models/iris/")
    field = page.locator(".field", has=page.get_by_label("Sepal length"))
    page.get_by_label("Sepal length").fill("5,1 cm")
    expect(field.locator(".field-echo")).to_have_text("Read as 5.1")
    page.get_by_label("Sepal length").fill("5.1")
    expect(field.locator(".field-echo")).to_have_text("")


def test_text_with_two_readings_is_asked_about(page: Page) -> None:
    page.goto("/models/iris/")
    page.get_by_label("Sepal length").fill("1,234")
    expect(page.locator(".field-echo")).to_contain_text("Which number is meant?")
    page.locator(".field-echo").get_by_role("button", name="1.234").click()
    expect(page.get_by_label("Sepal length")).to_have_value("1.234")
    expect(page.get_by_label("Sepal length")).to_be_focused()
    expect(page.locator(".field-echo")).to_have_text("")


@pytest.mark.parametrize("text", ["5.1\t3.5\t1.4\t0.2", "5,1;3,5;1,4;0,2", "5.1\n3.5\n1.4\n0.2\n", "5.1 3.5 1.4 0.2"])
def test_pasted_row_fills_the_fields_when_that_is_chosen(page: Page, text: str) -> None:
    page.goto("/models/iris/")
    paste(page, "Sepal length", text)
    expect(page.locator(".field-echo")).to_contain_text("These look like 4 values.")
    assert values(page)[1:] == ["", "", ""]
    page.get_by_role("button", name="Fill 4 fields from here on").click()
    assert [found.replace(",", ".") for found in values(page)] == ["5.1", "3.5", "1.4", "0.2"]
    press_predict(page)
    expect(value(page)).to_have_text("setosa")


@pytest.mark.parametrize(
    ("cell", "chosen"), [("M", "M"), ("m", "m"), ("two", "2"), ("TWO", "2"), ("b", "b"), ("one", None), ("Z", None)]
)
def test_choice_of_a_pasted_row_is_the_one_that_it_names(page: Page, cell: str, chosen: str | None) -> None:
    page.goto("/models/iris/")
    options = [["m", "m"], ["M", "M"], ["2", "Two"], ["a", "b"], ["b", "a"], ["3", "One"], ["4", "ONE"]]
    script = """([options, cell]) => {
      const select = document.createElement("select");
      for (const [value, label] of options) select.add(new Option(label, value));
      return optionFor(select, cell)?.value ?? null;
    }"""
    assert page.evaluate(script, [options, cell]) == chosen


def test_row_that_is_longer_than_the_form_says_so(page: Page) -> None:
    page.goto("/models/iris/")
    paste(page, "Petal length", "1.4\t0.2\t7")
    expect(page.locator(".field-echo")).to_contain_text("the form has no more")
    page.get_by_role("button", name="Fill 2 fields from here on").click()
    assert values(page) == ["", "", "1.4", "0.2"]


def test_wheel_over_a_focused_field_changes_nothing(page: Page) -> None:
    page.goto("/models/iris/?example=1")
    page.get_by_label("Sepal length").click()
    page.mouse.wheel(0, 100)
    page.mouse.wheel(0, -100)
    expect(page.get_by_label("Sepal length")).to_have_value("5.1")


@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 800}, {"width": 390, "height": 800}])
def test_typed_numbers_are_asked_as_they_were_meant(
    new_context: Callable[..., BrowserContext], script: bool, viewport: Any, console: Console
) -> None:
    page = new_context(java_script_enabled=script, viewport=viewport).new_page()
    page.goto("/models/iris/?example=1")
    for text, message in [
        ("1,234", "“1,234” can be read in two ways. Type 1234 or 1.234."),
        ("abc", "“abc” is not a number."),
        ("1e400", "“1e400” is too large."),
        ("5.1\t3.5", "These look like 2 values."),
    ]:
        page.get_by_label("Sepal length").fill(text)
        press_predict(page)
        expect(page.locator("#error-summary")).to_contain_text(message)
        expect(page.get_by_label("Sepal length")).to_have_value(text)
    page.get_by_label("Sepal length").fill("5,1")
    page.get_by_label("Petal width").fill("2e-1")
    press_predict(page)
    expect(value(page)).to_have_text("setosa")
    asked = json.loads(page.request.get(f"/api/v1/predictions/{prediction_id(page)}/").text())
    assert list(asked["features"].values()) == [5.1, 3.5, 1.4, 0.2]
    console.take()
