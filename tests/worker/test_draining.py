"""SIGTERM of the web process: what it has accepted is answered, and nothing new is accepted."""

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager

import httpx
import pytest

from tests.support.stack import Stack
from tests.support.waiting import wait_until

WAITING = 40
SECONDS = 10


@pytest.fixture(scope="module")
def without_worker(prepare_stack: Callable[..., AbstractContextManager[Stack]]) -> Iterator[Stack]:
    """A stack without a worker, so that requests wait until their time is over."""
    with prepare_stack() as stack:
        stack.start("redis")
        yield stack


@pytest.fixture
def web(without_worker: Stack) -> Iterator[Stack]:
    without_worker.start("web")
    yield without_worker
    without_worker["web"].wipe_out()


def ask(client: httpx.Client) -> httpx.Response:
    body, headers = {"features": [5.1, 3.5, 1.4, 0.2]}, {"Prefer": f"wait={SECONDS}"}
    return client.post("/api/v1/models/iris/predictions/", json=body, headers=headers)


def is_refused(stack: Stack) -> bool:
    try:
        httpx.get(f"http://127.0.0.1:{stack.env['PORT']}/healthz/live")
    except httpx.ConnectError:
        return True
    except httpx.TransportError:  # the socket was closed just after the connection was made
        pass
    return False


def test_waiting_requests_are_answered_after_sigterm(web: Stack) -> None:
    with (
        ThreadPoolExecutor(WAITING) as pool,
        httpx.Client(base_url=web.client.base_url, timeout=3 * SECONDS, limits=httpx.Limits()) as client,
    ):
        asked: list[Future[httpx.Response]] = [pool.submit(ask, client) for _ in range(WAITING)]
        wait_until(lambda: len(web.rows()) == WAITING, SECONDS, "all requests are accepted")
        web["web"].process.terminate()
        wait_until(lambda: is_refused(web), SECONDS, "new connections are refused")
        assert not any(one.done() for one in asked), "the signal came too late to cut anything"

        assert [one.result().status_code for one in asked] == [202] * WAITING

    wait_until(lambda: not web["web"].is_running, SECONDS, "the server has ended")


def test_idle_connections_do_not_delay_the_end(web: Stack) -> None:
    assert web.client.get("/healthz/live").status_code == 200  # the client keeps this connection open
    begin = time.monotonic()

    web["web"].terminate()

    assert time.monotonic() - begin < SECONDS


def test_half_a_request_does_not_delay_the_end(web: Stack) -> None:
    with socket.create_connection(("127.0.0.1", int(web.env["PORT"]))) as half:
        half.sendall(b"POST /api/v1/models/iris/predictions/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
        assert not is_refused(web)  # after this round trip, the server has received the bytes from above

        web["web"].terminate(20)

        assert half.recv(1) == b""


def test_killed_web_process_is_replaced(web: Stack) -> None:
    web["web"].kill_children()

    wait_until(web.is_answering, 20, "another process answers")


def test_connections_wait_for_the_process_that_replaces_a_killed_one(web: Stack) -> None:
    def health(client: httpx.Client) -> int:
        return client.get("/healthz/live", headers={"Connection": "close"}).status_code

    with httpx.Client(base_url=web.client.base_url, timeout=20) as client, ThreadPoolExecutor(WAITING) as pool:
        web["web"].kill_children()

        assert list(pool.map(health, [client] * WAITING)) == [200] * WAITING


def test_web_processes_end_with_the_one_that_started_them(web: Stack) -> None:
    children = web["web"].process.children()
    assert children

    web["web"].kill()

    wait_until(lambda: not any(one.is_running() for one in children), 10, "no process is left")
