"""Steps of the browser tests: the actions of people on the pages."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Locator, Page, Request, expect

from tests.support.stack import Stack

ANALYST, PASSWORD = "analyst", "a password of the tests alone"
# Without JavaScript, a page that waits reloads itself, with the number of the attempt in its address.
PREDICTION_PATH = re.compile(r"/predictions/([0-9a-f-]{36})/(?:\?attempt=\d+)?$")


def predict_tumour(page: Page, example: str = "A typical malignant sample") -> None:
    """From the first page: choose the model, take an example, press Predict."""
    page.goto("/")
    page.get_by_role("link", name="Breast tumour").click()
    page.get_by_role("link", name=example).click()
    press_predict(page)


def ask_probe(page: Page, x: float, seconds: float = 0, base_url: str = "") -> str:
    """Ask the probe model, whose predict call takes `seconds`. Returns the id of the prediction."""
    page.goto(f"{base_url}/models/probe/")
    page.get_by_label("x", exact=True).fill(str(x))
    page.get_by_label("Seconds that the predict call takes").fill(str(seconds))
    press_predict(page)
    return prediction_id(page)


def press_predict(page: Page) -> None:
    page.get_by_role("button", name="Predict").click()


def prediction_id(page: Page) -> str:
    """Wait until the page is that of a prediction. Returns the id in its address."""
    expect(page).to_have_url(PREDICTION_PATH)
    found = PREDICTION_PATH.search(page.url)
    assert found
    return found[1]


def answer(page: Page, state: str) -> Locator:
    """Wait until the answer on the page has this state. Returns its element."""
    expect(page.locator(".answer")).to_have_attribute("data-state", state)
    return page.locator(".answer")


def value(page: Page) -> Locator:
    answer(page, "succeeded")
    return page.locator(".answer-value")


def sign_in(page: Page, name: str = ANALYST) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


@contextmanager
def polls_of(page: Page) -> Iterator[list[str]]:
    """The addresses of the requests for a status fragment. The list grows while the context lasts."""
    polls: list[str] = []

    def note(request: Request) -> None:
        if "/status/" in request.url:
            polls.append(request.url)

    page.on("request", note)
    yield polls
    page.remove_listener("request", note)


def an_hour_later(page: Page) -> None:
    """Let an hour pass on a page whose clock was installed, and wait until the requests of that hour were recorded."""
    page.clock.fast_forward("01:00:00")
    with page.expect_request("**/healthz/live?later"):
        page.evaluate("fetch('/healthz/live?later').catch(() => null)")


def freeze_workers(stack: Stack) -> None:
    """Stop the execution of predictions: suspend the workers, and the keeper, which would take over after seconds."""
    stack.freeze("keeper", "worker")


def thaw_workers(stack: Stack) -> None:
    stack["worker"].thaw()
    stack["keeper"].thaw()
