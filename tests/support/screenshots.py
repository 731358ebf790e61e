"""`python -m tests.support.screenshots`: write the pictures of the main pages in docs/images, from a stack of its own.

Each page is drawn wide, on a phone and dark, by a real Chromium, and stored as WebP, which Chromium itself encodes.
The demo models are those of this checkout; a model without a version is trained first.
"""

import base64
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from project.env import BASE_DIR
from tests.support import provide
from tests.support import stack as stacks
from tests.support.stack import Stack

# Pages may be slow on a busy machine.
expect.set_options(timeout=60_000)
IMAGES = BASE_DIR / "docs/images"
# The quality of WebP, from 0 to 1. With this one, texts stay sharp, and a picture takes 20 to 60 kB.
QUALITY = 0.8
LOOKS: dict[str, dict[str, Any]] = {
    "wide": {"viewport": {"width": 1280, "height": 900}},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
}
ENCODE = """async ([png, quality]) => {
  const image = new Image();
  image.src = "data:image/png;base64," + png;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width, image.height];
  canvas.getContext("2d").drawImage(image, 0, 0);
  return canvas.toDataURL("image/webp", quality).split(",")[1];
}"""
PASSWORD = "a password for the pictures alone"
MAKE_ANALYST = f"""
from django.contrib.auth.models import Group, User
user, _ = User.objects.get_or_create(username="ada")
user.set_password({PASSWORD!r})
user.save()
user.groups.set(Group.objects.all())
"""


# --- What is drawn ----------------------------------------------------------------------------------------------------
def home(page: Page) -> None:
    page.goto("/")


def answer(page: Page) -> None:
    """The form with the answer beside it; below it on a phone."""
    page.goto("/models/breast-cancer/?example=3")
    _predict(page)
    page.evaluate("document.querySelector('.examples').scrollIntoView()")
    if page.viewport_size and page.viewport_size["width"] < 600:
        page.locator(".answer").scroll_into_view_if_needed()
        page.evaluate("document.querySelector('.answer').scrollIntoView()")


def outside(page: Page) -> None:
    """The answer to values outside the training data."""
    page.goto("/models/breast-cancer/")
    for field in page.locator("#prediction-form input[data-number]").all():
        field.fill("0")
    _predict(page)
    _keep(page)


def number(page: Page) -> None:
    """A number with its interval, and what moved it."""
    page.goto("/models/diabetes/?example=1")
    _predict(page)
    _keep(page)
    page.get_by_role("link", name="Why this answer?").click()
    expect(page.locator(".why .signed")).to_be_visible()


def what_if(page: Page) -> None:
    page.goto("/models/diabetes/?example=1")
    _predict(page)
    page.goto(f"{page.url}what-if/?feature=bmi&value=34")
    expect(page.locator(".beside")).to_be_visible()


def compare(page: Page) -> None:
    page.goto("/models/diabetes/?example=1")
    _predict(page)
    page.get_by_label("Body mass index").fill("34")
    page.get_by_role("button", name="Predict").click()
    page.wait_for_url(lambda url, first=page.url: "/predictions/" in url and url != first)
    _answered(page)
    page.get_by_role("link", name="Compare").click()
    page.locator(".record-link").first.click()
    expect(page.locator(".compared")).to_be_visible()


def card(page: Page) -> None:
    page.goto("/models/breast-cancer/card/")


def predictions(page: Page) -> None:
    page.goto("/predictions/")


def board(page: Page) -> None:
    page.goto("/monitor/")


def reference(page: Page) -> None:
    page.goto("/models/diabetes/api/")
    page.get_by_role("button", name="Send this request").click()
    expect(page.locator("#sent")).to_have_text("Status 200 OK")


PAGES: tuple[Callable[[Page], None], ...] = (
    home, answer, outside, number, what_if, compare, card, predictions, board, reference,
)  # fmt: skip


def _predict(page: Page) -> None:
    page.get_by_role("button", name="Predict").click()
    _answered(page)


def _answered(page: Page) -> None:
    page.wait_for_url("**/predictions/*/")
    expect(page.locator(".answer")).to_have_attribute("data-state", "succeeded")


def _keep(page: Page) -> None:
    """Open the result at its own address."""
    page.goto(page.url)
    page.evaluate("document.querySelector('.kept').scrollIntoView()")


# --- The pictures -----------------------------------------------------------------------------------------------------
def main() -> None:
    found = provide.browser()
    if not found:
        sys.exit("There is no Chromium: python -m tests.support.provide")
    with _running() as stack, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        encoder = browser.new_page()
        for look, options in LOOKS.items():
            page = _signed_in(browser, stack, options).new_page()
            for draw in PAGES:
                draw(page)
                write(encoder, page, IMAGES / f"{draw.__name__.replace('_', '-')}-{look}.webp")
        browser.close()


@contextmanager
def _running() -> Iterator[Stack]:
    with tempfile.TemporaryDirectory() as folder:
        models, collected = Path(folder) / "models", Path(folder) / "static"
        shutil.copytree(BASE_DIR / "ml_models", models)
        collected.mkdir()
        with stacks.prepared(models, collected) as stack:
            stack.start("redis", "worker", "bulk", "keeper", "web")
            stack.manage("shell", "--no-imports", "-c", MAKE_ANALYST)
            yield stack


def _signed_in(browser: Browser, stack: Stack, options: dict[str, Any]) -> BrowserContext:
    context = browser.new_context(
        base_url=str(stack.client.base_url), locale="en-GB", reduced_motion="reduce", **options
    )
    page = context.new_page()
    page.goto("/accounts/login/")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.close()
    return context


def write(encoder: Page, page: Page, path: Path) -> None:
    """Write a picture of the visible part of the page, as WebP."""
    png = base64.b64encode(page.screenshot(animations="disabled", caret="hide")).decode()
    path.write_bytes(base64.b64decode(encoder.evaluate(ENCODE, [png, QUALITY])))
    print(f"{path.relative_to(BASE_DIR)}: {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
