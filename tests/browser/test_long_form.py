"""A form of thirty numbers: a pasted row, the count, the usual ranges, the draft, and the page for programs."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import Console
from tests.browser.steps import press_predict, value

# The first row of the data set.
ROW = [
    "17.99", "10.38", "122.8", "1001", "0.1184", "0.2776", "0.3001", "0.1471", "0.2419", "0.07871", "1.095", "0.9053",
    "8.589", "153.4", "0.006399", "0.04904", "0.05373", "0.01587", "0.03003", "0.006193", "25.38", "17.33", "184.6",
    "2019", "0.1622", "0.6656", "0.7119", "0.2654", "0.4601", "0.1189",
]  # fmt: skip


def paste_row(page: Page, text: str) -> None:
    page.goto("/models/breast-cancer/")
    page.get_by_text("Paste a row from a spreadsheet").click()
    page.locator("#paste-text").fill(text)


def test_pasted_row_reaches_the_answer_by_keyboard_alone(page: Page) -> None:
    paste_row(page, "\t".join(ROW))
    expect(page.locator("#paste-preview")).to_contain_text("30 values, 30 of 30 fields.")
    expect(page.locator(".paste-table tr").nth(20)).to_have_text(re.compile(r"Radius, worst\s*25\.38\s*25\.38"))
    for _ in range(2):  # to the preview, then to the button
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#filled")).to_have_text("30 of 30 filled")
    expect(page.get_by_label("Radius, worst")).to_have_value("25.38")
    expect(page.get_by_role("button", name="Predict")).to_be_focused()
    page.keyboard.press("Enter")
    expect(value(page)).to_have_text("malignant")


def test_line_of_names_decides_what_goes_where(page: Page) -> None:
    paste_row(page, "worst radius;unknown;mean radius\n25,38;1;17,99")
    expect(page.locator("#paste-preview")).to_contain_text("3 values, 2 of 30 fields.")
    expect(page.locator(".paste-table")).to_contain_text("unknown: no such field")
    page.get_by_role("button", name="Fill 2 fields").click()
    expect(page.get_by_label("Radius, worst")).to_have_value("25.38")
    expect(page.get_by_label("Radius, mean")).to_have_value("17.99")
    expect(page.locator("#filled")).to_have_text("2 of 30 filled")


def test_cell_that_cannot_be_read_is_named_and_left_out(page: Page) -> None:
    paste_row(page, "17.99\tabc\t122.8")
    expect(page.locator(".paste-table .is-unread")).to_have_text(re.compile(r"Texture, mean\s*abc\s*cannot be read"))
    page.get_by_role("button", name="Fill 2 fields").click()
    expect(page.get_by_label("Texture, mean")).to_have_value("")


def test_value_is_marked_on_its_usual_range(page: Page) -> None:
    page.goto("/models/breast-cancer/")
    field = page.locator(".field", has=page.get_by_label("Radius, mean"))
    mark = field.locator(".strip-mark")
    expect(mark).to_have_attribute("hidden", "")
    page.get_by_label("Radius, mean").fill("1000")
    assert float(mark.get_attribute("x") or 0) > 98
    page.get_by_label("Radius, mean").fill("0")
    assert float(mark.get_attribute("x") or 1) == 0
    page.get_by_label("Radius, mean").fill("")
    expect(mark).to_have_attribute("hidden", "")


def test_draft_survives_a_reload_and_is_offered_on_a_new_visit(page: Page) -> None:
    page.goto("/models/breast-cancer/")
    page.get_by_label("Radius, mean").fill("12,5")
    page.reload()
    expect(page.get_by_label("Radius, mean")).to_have_value("12,5")
    expect(page.locator("#filled")).to_have_text("1 of 30 filled")
    page.goto("/")
    page.goto("/models/breast-cancer/")
    expect(page.get_by_label("Radius, mean")).to_have_value("")
    page.get_by_role("button", name="Fill them in").click()
    expect(page.get_by_label("Radius, mean")).to_have_value("12,5")


def test_forgotten_draft_is_not_offered_again(page: Page) -> None:
    page.goto("/models/breast-cancer/")
    page.get_by_label("Radius, mean").fill("12,5")
    page.goto("/")
    page.goto("/models/breast-cancer/")
    page.get_by_role("button", name="Forget them").click()
    page.goto("/")
    page.goto("/models/breast-cancer/")
    expect(page.get_by_role("button", name="Fill them in")).to_be_hidden()


def test_errors_are_counted_in_summary_and_title(page: Page, console: Console) -> None:
    page.goto("/models/breast-cancer/?example=1")
    for label in ("Radius, mean", "Area, worst"):
        page.get_by_label(label).fill("")
    press_predict(page)
    expect(page.locator("#error-summary h2")).to_have_text("2 values need another look")
    expect(page).to_have_title("2 errors: Breast tumour · Foretell")
    console.take()


def test_requests_for_programs_hold_the_values_of_the_form(page: Page) -> None:
    page.goto("/models/diabetes/?example=1")
    page.get_by_label("Body mass index").fill("33,5")
    page.get_by_text("Ask from a program").click()
    expect(page.get_by_label("Python")).to_contain_text('"bmi":33.5')
    page.get_by_role("link", name="its reference").click()
    expect(page.get_by_label("JavaScript")).to_contain_text('"bmi":33.5')
    page.get_by_role("button", name="Send this request").click()
    expect(page.locator("#sent")).to_have_text("Status 200 OK")
    expect(page.locator("#response")).to_contain_text('"kind": "regression"')
