"""A form in the page of a second origin, which copied its HTML; the page of a third origin is refused."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import BrowserContext, FrameLocator, Page, expect

from tests.browser.conftest import Console
from tests.browser.steps import freeze_workers, sign_in, thaw_workers
from tests.support.axe import findings
from tests.support.stack import Stack

FIELDS = {"Sepal length": "5.1", "Sepal width": "3.5", "Petal length": "1.4", "Petal width": "0.2"}


class Site:
    """The site of a third party. Its own policy allows the frame and the script of Foretell, and no style sheet."""

    def __init__(self, foretell: str) -> None:
        self.html = ""
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = self.path == "/"
                self.send_response(200 if found else 204)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                policy = f"default-src 'none'; frame-src {foretell}; script-src {foretell}"
                self.send_header("Content-Security-Policy", policy)
                self.end_headers()
                if found:
                    html = f"<!doctype html><html lang=en><title>A shop</title><main><h1>A shop</h1>{site.html}</main>"
                    self.wfile.write(html.encode())

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def serving(foretell: str) -> Iterator[Site]:
    site = Site(foretell)
    thread = threading.Thread(target=site.server.serve_forever)
    thread.start()
    try:
        yield site
    finally:
        site.server.shutdown()
        thread.join()
        site.server.server_close()


@pytest.fixture
def shop(stack: Stack) -> Iterator[Site]:
    with serving(str(stack.client.base_url).rstrip("/")) as site:
        yield site


@pytest.fixture
def stranger(stack: Stack) -> Iterator[Site]:
    with serving(str(stack.client.base_url).rstrip("/")) as site:
        yield site


def embed(page: Page, site: Site) -> str:
    """Make an embedding for the site, and copy its HTML."""
    sign_in(page)
    page.goto("/models/iris/embed/")
    page.get_by_role("textbox", name="Site").fill(site.origin)
    page.get_by_role("button", name="Make the HTML").click()
    assert findings(page) == []
    return page.get_by_role("group", name=f"HTML for {site.origin}").inner_text()


def ask(frame: FrameLocator) -> None:
    for label, text in FIELDS.items():
        frame.get_by_label(label).fill(text)
    frame.get_by_role("button", name="Predict").click()


def test_answer_appears_in_the_frame_which_grows_with_it(
    page: Page, new_context: Callable[..., BrowserContext], shop: Site, stack: Stack
) -> None:
    shop.html = embed(page, shop)
    visitor = new_context(viewport={"width": 700, "height": 800}).new_page()
    visitor.goto(shop.origin)
    frame = visitor.frame_locator("iframe")

    expect(frame.get_by_role("heading", level=1)).to_have_text("Iris species")
    expect(visitor.locator("iframe")).to_have_css(
        "height", f"{frame.locator('body').evaluate('e => e.offsetHeight')}px"
    )
    before = frame.locator("body").evaluate("e => e.offsetHeight")
    freeze_workers(stack)
    ask(frame)
    expect(frame.locator(".answer")).to_have_attribute("data-state", "queued")
    thaw_workers(stack)
    expect(frame.locator(".answer-value")).to_have_text("setosa")

    after = frame.locator("body").evaluate("e => e.offsetHeight")
    assert after > before
    expect(visitor.locator("iframe")).to_have_css("height", f"{after}px")
    assert visitor.url == f"{shop.origin}/"
    assert visitor.context.cookies() == []
    assert findings(visitor) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_embedded_pages_have_no_finding(
    page: Page, new_context: Callable[..., BrowserContext], shop: Site, scheme: str
) -> None:
    embed(page, shop)
    address = page.locator("code").first.inner_text().split('"')[1]
    looks = {"color_scheme": scheme, "viewport": {"width": 320, "height": 800}, "reduced_motion": "reduce"}
    alone = new_context(**looks).new_page()
    alone.goto(address)
    assert findings(alone) == []
    for label, text in FIELDS.items():
        alone.get_by_label(label).fill(text)
    alone.get_by_role("button", name="Predict").click()
    expect(alone.locator(".answer-value")).to_have_text("setosa")
    assert findings(alone) == []


def test_answer_appears_without_javascript(
    page: Page, new_context: Callable[..., BrowserContext], shop: Site, stack: Stack
) -> None:
    shop.html = embed(page, shop)
    visitor = new_context(java_script_enabled=False).new_page()
    visitor.goto(shop.origin)
    frame = visitor.frame_locator("iframe")
    freeze_workers(stack)

    ask(frame)

    expect(frame.locator(".answer")).to_have_attribute("data-state", "queued")
    thaw_workers(stack)
    expect(frame.locator(".answer-value")).to_have_text("setosa")
    frame.get_by_role("link", name="Ask again with these values").click()
    expect(frame.get_by_label("Petal width")).to_have_value("0.2")
    assert visitor.context.cookies() == []


def test_page_of_another_origin_is_refused(
    page: Page, new_context: Callable[..., BrowserContext], shop: Site, stranger: Site, console: Console
) -> None:
    stranger.html = embed(page, shop)
    visitor = new_context().new_page()

    visitor.goto(stranger.origin)

    expect(visitor.get_by_role("heading", level=1)).to_have_text("A shop")
    expect(visitor.frame_locator("iframe").get_by_role("heading", name="Iris species")).to_have_count(0)
    [complaint] = console.take()
    assert "frame-ancestors" in complaint
    assert shop.origin in complaint


def test_revoked_form_is_no_longer_shown(
    page: Page, new_context: Callable[..., BrowserContext], shop: Site, console: Console
) -> None:
    shop.html = embed(page, shop)
    page.get_by_role("link", name=f"Revoke… {shop.origin}").click()
    assert findings(page) == []
    page.get_by_role("button", name="Revoke it").click()
    expect(page.get_by_text(f"Pages of {shop.origin} no longer show the form.")).to_be_visible()

    visitor = new_context().new_page()
    visitor.goto(shop.origin)

    expect(visitor.frame_locator("iframe").get_by_role("heading", name="Iris species")).to_have_count(0)
    assert console.take() != []
