"""The result: the same component beside the form and at its own address, with explanation, what-if and feedback."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.steps import predict_tumour, press_predict, value

GRADE = re.compile(r"^(Clear|Uncertain)$")


def test_answer_is_the_heading_and_its_grade_stands_with_a_count(page: Page) -> None:
    predict_tumour(page)
    expect(value(page)).to_have_text("malignant")
    expect(page.locator(".answer").get_by_role("heading", level=2)).to_have_text(re.compile("Diagnosis: *malignant"))
    expect(page.locator(".answer-sure .grade")).to_have_text(GRADE)
    expect(page.locator(".answer-sure")).to_contain_text(re.compile(r"right in \d+ of \d+ cases it had not seen"))
    expect(page.locator("#announcer")).to_have_text(re.compile(r"^Breast tumour: Diagnosis: malignant\. (Clear|Unc)"))
    here = page.locator(".answer").inner_text()
    page.reload()
    expect(page.locator(".answer-sure")).to_be_visible()
    # Beside the form, the link back to the form is hidden. Nothing else differs.
    assert page.locator(".answer").inner_text().replace("Ask again with these values\n", "") == here


def test_hidden_tab_shows_by_title_and_icon_that_it_is_done(page: Page) -> None:
    predict_tumour(page)
    expect(page).to_have_title(re.compile(r"^malignant · (clear|uncertain) · Breast tumour · Foretell$"))
    assert "favicon-done" in page.locator("link[rel='icon']").get_attribute("href")


def test_zeros_are_outside_its_experience(page: Page) -> None:
    page.goto("/models/breast-cancer/")
    for field in page.locator("#prediction-form input[data-number]").all():
        field.fill("0")
    press_predict(page)
    expect(page.locator(".answer-warning")).to_contain_text("Outside its experience. Do not rely on this answer.")
    expect(page.locator(".answer-warning")).to_contain_text(re.compile(r"\d+ of 30 values lie outside"))
    expect(page.locator(".answer-sure, .in-set, .number-line")).to_have_count(0)
    page.get_by_text("Which values", exact=True).click()
    expect(page.locator(".answer-warning li").first).to_be_visible()


def test_number_is_drawn_on_the_axis_of_the_training_data(page: Page) -> None:
    ends = []
    for example in (1, 2):
        page.goto(f"/models/diabetes/?example={example}")
        press_predict(page)
        expect(page.locator(".answer .answer-about")).to_have_text("about")
        ends.append(page.locator(".number-line .scale-ends").inner_text())
    assert ends[0] == ends[1]
    expect(page.locator(".answer-sure")).to_contain_text(re.compile(r"than about \d+ % of the \d+ people in the data"))
    expect(page.get_by_role("img", name=re.compile("on an axis from"))).to_be_visible()


def test_explanation_and_what_if_appear_in_the_result(page: Page) -> None:
    page.goto("/models/diabetes/?example=1")
    press_predict(page)
    page.get_by_role("link", name="Why this answer?").click()
    expect(page.locator(".why")).to_contain_text("moved the answer most:")
    expect(page.locator(".why .signed > li")).to_have_count(6)
    page.get_by_role("link", name="What if?").click()
    page.locator(".why").get_by_label("Change").select_option(label="Body mass index (kg/m²)")
    page.locator(".why").get_by_label("to", exact=True).fill("33,5")
    page.get_by_role("button", name="Show the answer").click()
    expect(page.locator(".beside dd")).to_have_count(2)
    expect(page.locator(".why .curve")).to_have_count(3)


def answered(new_context: Callable[..., BrowserContext], model: str, *, script: bool) -> Page:
    """A page with the answer to the first example of a model."""
    page = new_context(java_script_enabled=script).new_page()
    page.goto(f"/models/{model}/?example=1")
    press_predict(page)
    if not script:
        page.wait_for_url("**/predictions/*/")
        page.reload()
    value(page)
    return page


@pytest.mark.parametrize("script", [True, False])
def test_feedback_is_shown_and_can_be_changed(new_context: Callable[..., BrowserContext], script: bool) -> None:
    page = answered(new_context, "iris", script=script)
    expect(value(page)).to_have_text("setosa")
    page.get_by_text("Say what it was").click()
    page.get_by_label("It was").select_option("virginica")
    page.get_by_label("Note").fill("seen by a botanist")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".feedback")).to_contain_text("You said: it was wrong and it was virginica.")
    page.reload()
    expect(page.get_by_label("Note")).to_have_value("seen by a botanist")
    page.locator(".feedback").get_by_role("button", name="Yes").click()
    expect(page.locator(".feedback")).to_contain_text("You said: it was right")


@pytest.mark.parametrize("script", [True, False])
def test_enter_in_the_field_of_the_true_number_says_nothing_else(
    new_context: Callable[..., BrowserContext], script: bool
) -> None:
    page = answered(new_context, "diabetes", script=script)
    page.get_by_text("Say what it was").click()
    page.get_by_label("It was").fill("151.23456")
    page.get_by_label("It was").press("Enter")
    expect(page.locator(".feedback")).to_contain_text("You said: it was 151.23456.")


def test_csv_of_an_answer_has_its_values_and_sureness(page: Page) -> None:
    predict_tumour(page)
    value(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    names, row = download.value.path().read_text().splitlines()
    assert names.startswith("mean radius,mean texture,")
    assert ",prediction,probability_malignant,probability_benign,prediction_set,grade," in names
    assert ",malignant," in row


def test_phone_shows_answer_and_grade_in_a_bar(new_context: Callable[..., BrowserContext]) -> None:
    page = new_context(viewport={"width": 390, "height": 700}).new_page()
    predict_tumour(page)
    value(page)
    bar = page.locator(".answer-bar")
    expect(bar).to_contain_text(re.compile("malignant · (clear|uncertain)"))
    bar.get_by_text("Edit values").click()
    expect(page.get_by_label("Radius, mean")).to_be_in_viewport()
    expect(bar).to_be_in_viewport()
