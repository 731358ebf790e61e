"""Bounds on connections, with real sockets: slow clients are cut off, and an address has a bounded number of them."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from typing import Any

import pytest
from uvicorn import Config

from project.server import guard
from project.server.guard import Addresses, GuardedProtocol
from project.server.processes import GuardedServer, listen
from tests.support.waiting import wait_until

SECONDS = 15.0
GET = b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
LARGE = 16 * 1024 * 1024


class Site:
    """Answers the length of a body; /wait waits for a second and more; /large sends more than all buffers hold."""

    def __init__(self) -> None:
        self.events: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        length, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.events.append("left")
                return
            length, more = length + len(message["body"]), message["more_body"]
        if scope["path"] == "/wait":
            with suppress(TimeoutError):
                await asyncio.wait_for(receive(), 3 * guard.SEND_SECONDS)
        content = b"\0" * LARGE if scope["path"] == "/large" else str(length).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-server", b"ours")]})
        await send({"type": "http.response.body", "body": content, "more_body": True})
        await send({"type": "http.response.body"})
        self.events.append("sent")


class Running:
    def __init__(self, most: int | None) -> None:
        self.site = Site()
        [self.listener] = listen("127.0.0.1", 0, 1)
        self.addresses = Addresses(most)
        protocol: Any = partial(GuardedProtocol, self.addresses)
        config = Config(self.site, http=protocol, loop="asyncio", lifespan="off", ws="none", log_config=None)
        self.server = GuardedServer(config)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.server.run, args=([self.listener],))
        self.thread.start()
        wait_until(lambda: self.server.started, SECONDS, "the server has started")

    def connect(self, address: str = "127.0.0.1", window: int | None = None) -> socket.socket:
        client = socket.socket()
        client.settimeout(SECONDS)
        if window:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        try:
            client.bind((address, 0))
            client.connect(("127.0.0.1", self.port))
        except OSError:
            client.close()
            raise
        return client

    @contextmanager
    def holding(self, count: int) -> Iterator[list[socket.socket]]:
        """Connections that are open until the end of the context."""
        with ExitStack() as open_ones:
            yield [open_ones.enter_context(self.connect()) for _ in range(count)]

    def ask(self, request: bytes = GET % b"", address: str = "127.0.0.1") -> bytes:
        with closing(self.connect(address)) as client:
            client.sendall(request)
            return client.recv(4096)

    def stop(self) -> None:
        self.server.should_exit = self.server.force_exit = True
        self.thread.join(SECONDS)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Running]]:
    for name in ("HEADER_SECONDS", "BODY_SECONDS", "SEND_SECONDS"):
        monkeypatch.setattr(guard, name, 0.5)
    started: list[Running] = []

    def start(most: int | None = 3) -> Running:
        started.append(Running(most))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def is_closed(client: socket.socket) -> bool:
    """Waits for the end of the connection, and reads what comes before."""
    try:
        while client.recv(65536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET / HTT", b"GET / HTTP/1.1\r\nHost: localhost\r\n", POST % 100, POST % 100 + b"half"],
    ids=["silent", "request line", "headers", "no body", "half a body"],
)
def test_incomplete_request_is_cut_off(run: Callable[..., Running], sent: bytes) -> None:
    server = run()
    with closing(server.connect()) as client:
        client.sendall(sent)

        assert is_closed(client)

    assert "sent" not in server.site.events
    wait_until(lambda: not server.addresses.connections, SECONDS, "the connection is counted no more")


def test_headers_that_never_end_are_cut_off(run: Callable[..., Running], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "HEADER_SECONDS", 1000)
    with closing(run().connect()) as client:
        client.sendall(b"GET / HTTP/1.1\r\nX-A: " + b"b" * 2 * guard.HEADER_BYTES)

        assert is_closed(client)


def test_body_that_arrives_fast_enough_may_take_longer(
    run: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "BODY_BYTES_PER_SECOND", 1)
    server = run()
    with closing(server.connect()) as client:
        client.sendall(POST % 1001 + b"a" * 1000)
        client.settimeout(4 * guard.BODY_SECONDS)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(SECONDS)
        client.sendall(b"a")

        assert client.recv(4096).startswith(b"HTTP/1.1 200 OK")


def test_waiting_request_is_not_cut_off(run: Callable[..., Running]) -> None:
    assert run().ask(GET % b"wait").startswith(b"HTTP/1.1 200 OK")


def test_client_that_reads_nothing_is_cut_off(run: Callable[..., Running]) -> None:
    server = run()
    with closing(server.connect(window=4096)) as client:
        client.sendall(GET % b"large")

        wait_until(lambda: not server.addresses.connections, SECONDS, "the connection is closed")


def test_large_response_arrives_complete(run: Callable[..., Running]) -> None:
    with closing(run().connect()) as client:
        client.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") % b"large")
        received = 0
        while chunk := client.recv(1 << 20):
            received += len(chunk)

    assert received > LARGE


def test_more_connections_than_an_address_may_have_are_503(run: Callable[..., Running]) -> None:
    server = run(most=3)
    with server.holding(3):
        wait_until(lambda: server.addresses.connections["127.0.0.1"] == 3, SECONDS, "the connections are counted")

        refused, other = server.ask(), server.ask(address="127.0.0.2")

        assert refused.startswith(b"HTTP/1.1 503 Service Unavailable")
        assert b"Too many connections from your address" in refused
        assert other.startswith(b"HTTP/1.1 200 OK")
    wait_until(lambda: not server.addresses.connections, SECONDS, "the connections are closed")
    assert server.ask().startswith(b"HTTP/1.1 200 OK")


def test_more_incomplete_bodies_than_an_address_may_have_are_503(
    run: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "BODIES_PER_ADDRESS", 2)
    monkeypatch.setattr(guard, "BODY_SECONDS", 1000)
    server = run(most=100)
    with server.holding(2) as held:
        for one in held:
            one.sendall(POST % 100 + b"half")
        wait_until(lambda: server.addresses.bodies["127.0.0.1"] == 2, SECONDS, "the bodies are counted")

        assert server.ask(POST % 100 + b"half").startswith(b"HTTP/1.1 503")

        assert server.ask(POST % 4 + b"body", address="127.0.0.2").startswith(b"HTTP/1.1 200")


def test_addresses_are_not_counted_behind_a_proxy(run: Callable[..., Running]) -> None:
    server = run(most=None)
    with server.holding(20):
        assert server.ask().startswith(b"HTTP/1.1 200 OK")


def test_connection_that_was_accepted_just_before_the_end_does_not_delay_it(
    run: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    """uvicorn tells its known connections that the server ends. It may learn of the last connection after that."""
    made, shutdown = GuardedProtocol.connection_made, GuardedProtocol.shutdown
    all_made: list[Any] = []

    def make_and_hide_the_second(self: Any, transport: Any) -> None:
        made(self, transport)
        all_made.append(self)
        if len(all_made) == 2:
            self.connections.discard(self)

    def shut_down_and_show_the_second(self: Any) -> None:
        shutdown(self)
        if self is all_made[0]:
            asyncio.get_running_loop().call_soon(self.connections.add, all_made[1])

    monkeypatch.setattr(GuardedProtocol, "connection_made", make_and_hide_the_second)
    server = run()
    with closing(server.connect()), closing(server.connect()) as late:
        wait_until(lambda: len(all_made) == 2, SECONDS, "both connections are made")
        monkeypatch.setattr(GuardedProtocol, "shutdown", shut_down_and_show_the_second)
        server.server.should_exit = True

        def is_closed_although_it_asks() -> bool:
            try:
                late.sendall(GET % b"")
                return not late.recv(4096)
            except ConnectionError:
                return True

        wait_until(is_closed_although_it_asks, SECONDS, "the connection is closed")
        server.thread.join(SECONDS)
        assert not server.thread.is_alive()


def test_http2_with_prior_knowledge_is_refused(run: Callable[..., Running]) -> None:
    assert run().ask(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").startswith(b"HTTP/1.1 400 Bad Request")
