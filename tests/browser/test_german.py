"""A reader whose browser is German: the pages, the numbers that they type, and the choice of another language."""

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.steps import prediction_id, sign_in, value
from tests.support.numbers import GERMAN

LABELS = ("Sepal length", "Sepal width", "Petal length", "Petal width")


@pytest.fixture
def page(new_context: Callable[..., BrowserContext]) -> Page:
    return new_context(locale="de-DE", timezone_id="Europe/Berlin").new_page()


def features(page: Page) -> list[float]:
    found = json.loads(page.request.get(f"/api/v1/predictions/{prediction_id(page)}/").text())["features"]
    return list(found.values())


def test_form_with_decimal_commas_gets_a_german_answer(page: Page) -> None:
    page.goto("/models/iris/")
    for label, text in zip(LABELS, ("5,1", "3,5", "1,4", "0,2"), strict=True):
        page.get_by_label(label).fill(text)
    page.get_by_role("button", name="Vorhersagen").click()

    expect(value(page)).to_have_text("setosa")
    expect(page.locator(".answer")).to_contain_text(re.compile(r"Die wahre Antwort passt in .* Fällen|Unsicher"))
    expect(page.locator(".answer .bar-percent").first).to_have_text(re.compile(r"^(> )?\d+,\d %$"))
    expect(page.locator("html")).to_have_attribute("lang", "de")
    assert features(page) == [5.1, 3.5, 1.4, 0.2]
    page.goto("/predictions/")
    expect(page.locator("time").first).to_have_text(re.compile(r"^\d\d\.\d\d\.\d{4}, \d\d:\d\d:\d\d$"))


def test_values_of_an_example_are_still_there_after_back(page: Page) -> None:
    page.goto("/models/iris/?example=1")
    typed = [page.get_by_label(label).input_value() for label in LABELS]
    assert typed[0] == "5,1"
    page.get_by_label("Sepal length").fill("5,25")
    page.get_by_role("button", name="Vorhersagen").click()
    value(page)
    page.goto("/")
    page.go_back()
    page.get_by_role("link", name="Mit diesen Werten noch einmal fragen").click()

    expect(page.get_by_label("Sepal length")).to_have_value("5,25")
    assert [page.get_by_label(label).input_value() for label in LABELS[1:]] == typed[1:]


def test_script_reads_numbers_of_a_german_page_as_the_server_does(page: Page) -> None:
    page.goto("/models/iris/")
    found = []
    for text, _ in GERMAN:
        readings = page.evaluate("text => readNumber(text, 'mm').readings", text)
        found.append((text, float(readings[0]) if len(readings) == 1 else "two_ways"))

    assert found == GERMAN


def test_text_with_two_readings_is_asked_about_in_german(page: Page) -> None:
    page.goto("/models/iris/")
    page.get_by_label("Sepal length").fill("1.234")
    expect(page.locator(".field-echo")).to_contain_text("Welche Zahl ist gemeint?")
    page.locator(".field-echo").get_by_role("button", name="1,234").click()
    expect(page.get_by_label("Sepal length")).to_have_value("1,234")
    expect(page.locator(".field-echo")).to_have_text("")


@pytest.mark.parametrize("row", ["5,125\t3,5\t1,4\t0,2", "5.125\t3.5\t1.4\t0.2"])
def test_pasted_row_is_filled_in_with_either_mark(page: Page, row: str) -> None:
    page.goto("/models/iris/")
    page.get_by_text("Eine Zeile aus einer Tabelle einfügen").click()
    page.locator("#paste-text").fill(row)
    expect(page.locator("#paste-preview")).to_contain_text("4 Werte, 4 von 4 Feldern.")
    expect(page.locator(".paste-table")).to_contain_text("5,125")
    page.get_by_role("button", name="4 Felder ausfüllen").click()

    assert [page.get_by_label(label).input_value() for label in LABELS] == ["5,125", "3,5", "1,4", "0,2"]
    page.get_by_role("button", name="Vorhersagen").click()
    value(page)
    assert features(page) == [5.125, 3.5, 1.4, 0.2]


def test_language_is_chosen_in_the_footer_without_a_script(new_context: Callable[..., BrowserContext]) -> None:
    page = new_context(locale="de-DE", java_script_enabled=False).new_page()
    page.goto("/models/iris/")
    page.get_by_role("button", name="English").click()

    expect(page).to_have_url(re.compile("/models/iris/$"))
    expect(page.get_by_role("button", name="Predict")).to_be_visible()
    page.goto("/")
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_board_needs_no_scrolling_sideways_on_a_phone(new_context: Callable[..., BrowserContext]) -> None:
    page = new_context(viewport={"width": 320, "height": 800}).new_page()
    sign_in(page)
    page.get_by_role("button", name="Deutsch").click()
    page.goto("/monitor/")
    expect(page.get_by_role("button", name="Anhalten")).to_be_visible()

    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
