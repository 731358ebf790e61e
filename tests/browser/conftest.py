"""A real Chromium in front of the real processes.

While Playwright runs, this thread has an event loop, and Django's ORM refuses to work in such a thread. So these tests
query the database through the stack's own connection, and Playwright ends after the last of them.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.browser.steps import ANALYST, PASSWORD
from tests.support import provide
from tests.support import stack as stacks
from tests.support.needs import need
from tests.support.stack import Line, Stack
from tests.support.waiting import wait_until
from tests.worker import conftest as worker

SWITCHES = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
MAKE_ANALYST = f"""
from django.contrib.auth.models import Permission, User
analyst, _ = User.objects.get_or_create(username={ANALYST!r})
analyst.set_password({PASSWORD!r})
analyst.save()
analyst.user_permissions.set(Permission.objects.filter(codename="view_monitor"))
"""
# Few enough that a page makes its last attempt while a test waits for it.
FEW_ATTEMPTS = 3
# Messages of htmx about a failed request. The browser itself logs one, too.
HTMX_ON_REQUESTS = re.compile("Response Status Error Code|htmx:(sendError|afterRequest|afterOnLoad)")
WIDE = {"width": 1280, "height": 800}

expect.set_options(timeout=15_000)


# --- The processes --------------------------------------------------------------------------------------------------
@pytest.fixture(scope="package")
def shared_stack(
    trained_models: Path, trained_probe: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Stack]:
    """All five processes of the Procfile, the demo models, the probe model of the worker tests, and an analyst."""
    root = tmp_path_factory.mktemp("browser") / "models"
    shutil.copytree(trained_models, root)
    shutil.copytree(trained_probe, root / "probe")
    assert request.config.cache
    collected = request.config.cache.mkdir("foretell-static")
    # More sweeps of the keeper would take processor time from the browser.
    with stacks.prepared(root, collected, KEEPER_SECONDS=1) as stack:
        stack.start("redis", "worker", "bulk", "keeper", "web")
        stack.manage("shell", "--no-imports", "-c", MAKE_ANALYST)
        yield stack


@pytest.fixture
def stack(shared_stack: Stack) -> Stack:
    """All five processes, running and idle."""
    shared_stack.mend()
    return shared_stack


@pytest.fixture(scope="package")
def impatient_url(shared_stack: Stack) -> Iterator[str]:
    """A second web process on the same database, whose pages poll only a few times."""
    port = str(stacks.free_port())
    env = shared_stack.env | {"PORT": port, "POLL_ATTEMPTS": str(FEW_ATTEMPTS), "WEB_PROCESSES": "1"}
    log = shared_stack["web"].log.with_name("impatient.log")
    line = Line("impatient", stacks.procfile()["web"], env, log)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/models/probe/").is_success
        except httpx.TransportError:
            return False

    line.start()
    try:
        wait_until(answers, stacks.START_SECONDS, "the impatient web answers")
        yield url
    finally:
        line.wipe_out()


# --- The browser ----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    found = provide.browser()
    need(found, "The browser tests need Chromium: python -m tests.support.provide")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=SWITCHES)
        yield browser
        browser.close()


class Console:
    """Complaints of browsers: script errors, violations of the Content-Security-Policy, and failed loads."""

    def __init__(self) -> None:
        self._complaints: list[str] = []

    def listen(self, context: BrowserContext) -> None:
        context.on("console", self._hear)
        context.on("weberror", lambda error: self._complaints.append(str(error.error)))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not HTMX_ON_REQUESTS.match(message.text):
            self._complaints.append(message.text)

    def take(self) -> list[str]:
        """The complaints since the last call, each once. They do not fail the test."""
        taken, self._complaints = sorted(set(self._complaints)), []
        return taken


@pytest.fixture
def console() -> Iterator[Console]:
    """The console of all browsers of a test. The test fails if there are complaints that it did not take."""
    console = Console()
    yield console
    assert console.take() == []


@pytest.fixture
def new_context(browser: Browser, stack: Stack, console: Console) -> Iterator[Callable[..., BrowserContext]]:
    """Makes a browser context of a new visitor, without cookies and history."""
    with ExitStack() as opened:

        def make(**options: Any) -> BrowserContext:
            defaults = {"base_url": str(stack.client.base_url), "viewport": WIDE}
            context = browser.new_context(**(defaults | options))
            opened.callback(context.close)
            console.listen(context)
            return context

        yield make


@pytest.fixture
def page(new_context: Callable[..., BrowserContext]) -> Page:
    return new_context().new_page()


@pytest.fixture
def plain_page(new_context: Callable[..., BrowserContext]) -> Page:
    """A page without JavaScript."""
    return new_context(java_script_enabled=False).new_page()


pytest_runtest_makereport = worker.pytest_runtest_makereport
