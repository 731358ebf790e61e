"""SIGTERM of the web process: what it has accepted is answered, and nothing new is accepted."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager

import httpx
import pytest

from tests.support.stack import Stack
from tests.support.waiting import wait_until

WAITING = 40
SECONDS = 4


@pytest.fixture(scope="module")
def without_worker(prepare_stack: Callable[..., AbstractContextManager[Stack]]) -> Iterator[Stack]:
    """Requests wait for their whole time."""
    with prepare_stack() as stack:
        stack.start("redis")
        yield stack


@pytest.fixture
def web(without_worker: Stack) -> Iterator[Stack]:
    without_worker.start("web")
    yield without_worker
    without_worker["web"].wipe_out()


def ask(stack: Stack) -> httpx.Response:
    return httpx.post(
        f"http://127.0.0.1:{stack.env['PORT']}/api/v1/models/iris/predictions/",
        json={"features": [5.1, 3.5, 1.4, 0.2]},
        headers={"Prefer": f"wait={SECONDS}"},
        timeout=30,
    )


def is_refused(stack: Stack) -> bool:
    try:
        httpx.get(f"http://127.0.0.1:{stack.env['PORT']}/healthz/live")
    except httpx.ConnectError:
        return True
    return False


def test_waiting_requests_are_answered_after_sigterm(web: Stack) -> None:
    with ThreadPoolExecutor(WAITING) as pool:
        asked: list[Future[httpx.Response]] = [pool.submit(ask, web) for _ in range(WAITING)]
        wait_until(lambda: len(web.rows()) == WAITING, 30, "all requests are accepted")
        web["web"].process.terminate()
        wait_until(lambda: is_refused(web), 5, "new connections are refused")
        assert not any(one.done() for one in asked), "the fault came too late to cut anything"

        assert [one.result().status_code for one in asked] == [202] * WAITING

    wait_until(lambda: not web["web"].is_running, 10, "the server has ended")


def test_idle_connections_do_not_delay_the_end(web: Stack) -> None:
    assert web.client.get("/healthz/live").status_code == 200  # the client keeps this connection open
    begin = time.monotonic()

    web["web"].terminate()

    assert time.monotonic() - begin < SECONDS


def test_killed_web_process_is_replaced(web: Stack) -> None:
    web["web"].kill_children()

    wait_until(web.is_answering, 20, "another process answers")


def test_web_processes_end_with_the_one_that_started_them(web: Stack) -> None:
    children = web["web"].process.children()
    assert children

    web["web"].kill()

    wait_until(lambda: not any(one.is_running() for one in children), 10, "no process is left")
