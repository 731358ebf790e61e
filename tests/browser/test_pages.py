"""Every page at several widths: no horizontal scrolling, no errors in the console."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import Console
from tests.browser.steps import predict_tumour, press_predict, sign_in, value
from tests.support.stack import Stack

PAGES = [
    "/", "/models/breast-cancer/", "/models/iris/", "/models/diabetes/", "/models/wine/", "/predictions/",
    "/accounts/", "/accounts/data/remove/", "/accounts/tokens/", "/monitor/",
]  # fmt: skip
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
NOT_FOUND = "Failed to load resource: the server responded with a status of 404 (Not Found)"


@pytest.mark.parametrize("width", [360, 390])
def test_page_needs_no_scrolling_sideways(new_context: Callable[..., BrowserContext], stack: Stack, width: int) -> None:
    page = new_context(viewport={"width": width, "height": 800}).new_page()
    page.goto("/accounts/login/")
    too_wide = {"/accounts/login/": page.evaluate(SIDEWAYS)}
    sign_in(page)
    predict_tumour(page)
    value(page)
    too_wide["the answer"] = page.evaluate(SIDEWAYS)
    for path in [*PAGES, page.url]:
        page.goto(path)
        too_wide[path] = page.evaluate(SIDEWAYS)
    page.goto("/accounts/tokens/")
    page.get_by_label("Name").fill("a token to look at")
    page.get_by_role("button", name="Make it").click()
    expect(page.locator(".secret")).to_be_visible()
    too_wide["the new token"] = page.evaluate(SIDEWAYS)
    assert {path: pixels for path, pixels in too_wide.items() if pixels} == {}


def test_answer_comes_into_view_on_a_phone(new_context: Callable[..., BrowserContext]) -> None:
    page = new_context(viewport={"width": 390, "height": 700}, has_touch=True, is_mobile=True).new_page()
    page.goto("/models/breast-cancer/")
    page.get_by_role("link", name="A typical malignant sample").tap()
    page.get_by_role("button", name="Predict").tap()
    expect(value(page)).to_have_text("malignant")
    expect(page.locator(".answer-headline")).to_be_in_viewport()
    expect(page.locator(".answer-value")).to_be_in_viewport()


@pytest.mark.parametrize("width", [390, 1280])
def test_thirty_errors_are_all_shown(new_context: Callable[..., BrowserContext], console: Console, width: int) -> None:
    page = new_context(viewport={"width": width, "height": 800}).new_page()
    page.goto("/models/breast-cancer/")
    press_predict(page)
    summary = page.locator("#error-summary")
    expect(summary.get_by_role("link")).to_have_count(30)
    assert summary.evaluate("e => e.querySelector('ul').scrollHeight <= e.querySelector('ul').clientHeight")
    assert summary.evaluate("e => e.querySelector('ul').scrollWidth <= e.querySelector('ul').clientWidth")
    assert page.evaluate(SIDEWAYS) == 0
    console.take()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_schemes(new_context: Callable[..., BrowserContext], scheme: str) -> None:
    page = new_context(color_scheme=scheme).new_page()
    page.goto("/models/iris/")
    ground, ink = page.evaluate(
        "(({backgroundColor, color}) => [backgroundColor, color])(getComputedStyle(document.body))"
    )
    assert _contrast(ground, ink) > 7
    assert (_luminance(ground) < 0.1) == (scheme == "dark")


def test_page_at_no_address(page: Page, console: Console) -> None:
    response = page.goto("/models/nothing-of-that-name/")
    assert response
    assert response.status == 404
    expect(page.get_by_role("heading", level=1)).to_have_text("There is nothing at this address")
    page.get_by_role("link", name="To the models").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("What would you like to know?")
    assert console.take() == [NOT_FOUND]


def test_form_of_a_page_that_is_too_old_explains_itself(page: Page, console: Console) -> None:
    page.goto("/models/iris/?example=1")
    page.context.clear_cookies()
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#answer .answer-headline")).to_have_text("That did not work")
    expect(page.get_by_label("Sepal length")).to_have_value("5.1")
    console.take()


def test_description_of_the_api_is_drawn_on_request(page: Page) -> None:
    policy = page.goto("/api/v1/docs/")
    assert policy
    assert "'unsafe" not in policy.headers["content-security-policy"]
    page.get_by_role("button", name="Open Swagger UI").click()
    expect(page.locator(".info .title")).to_contain_text("Foretell")
    expect(page.locator("#swagger-ui .opblock").first).to_be_visible()


def test_description_of_the_api_says_that_swagger_ui_did_not_load(page: Page, console: Console) -> None:
    page.route("**/swagger-ui-bundle*.js", lambda route: route.abort())
    page.goto("/api/v1/docs/")
    page.get_by_role("button", name="Open Swagger UI").click()
    expect(page.get_by_text("Swagger UI could not be loaded.")).to_be_visible()
    console.take()
    page.unroute("**/swagger-ui-bundle*.js")
    page.get_by_role("button", name="Open Swagger UI").click()
    expect(page.locator("#swagger-ui .opblock").first).to_be_visible()


def test_description_of_the_api_without_javascript(plain_page: Page) -> None:
    plain_page.goto("/api/v1/docs/")
    expect(plain_page.get_by_role("button", name="Open Swagger UI")).to_be_hidden()
    plain_page.get_by_role("link", name="OpenAPI document").click()
    expect(plain_page.locator("body")).to_contain_text('"openapi"')


def test_admin_opens(page: Page) -> None:
    page.goto("/admin/")
    expect(page.get_by_label("Username")).to_be_visible()


def test_request_to_copy_is_offered(page: Page) -> None:
    page.goto("/models/iris/")
    page.get_by_text("Ask from a program").click()
    expect(page.get_by_label("curl")).to_contain_text("/api/v1/models/iris/predictions/")


def _luminance(colour: str) -> float:
    """The relative luminance of a colour `rgb(…)`, as WCAG 2 defines it."""
    shares = [int(part) / 255 for part in colour[4:-1].split(",")]
    red, green, blue = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)
