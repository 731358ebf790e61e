"""The faults of the proxy."""

import gc
import socket
import socketserver
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.proxy import Proxy, before


class Echo(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while line := self.rfile.readline():
            self.wfile.write(line)


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "echo.sock"
    with Server(str(path), Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield path
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(upstream: Path) -> Iterator[Proxy]:
    with before(upstream) as proxy:
        yield proxy


@pytest.fixture
def connection(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as connection:
        assert is_echoed(connection)
        yield connection


def is_echoed(connection: socket.socket) -> bool:
    connection.sendall(b"hello\n")
    return connection.recv(100) == b"hello\n"


def test_slow_delays_both_directions(proxy: Proxy, connection: socket.socket) -> None:
    start = time.monotonic()
    with proxy.slow(0.1):
        assert is_echoed(connection)
    assert time.monotonic() - start >= 0.2


def test_silent_keeps_the_connection_and_its_data(proxy: Proxy, connection: socket.socket) -> None:
    connection.settimeout(0.2)
    with proxy.silent(), pytest.raises(TimeoutError):
        is_echoed(connection)
    connection.settimeout(10)
    assert connection.recv(100) == b"hello\n"


def test_cut_resets_existing_and_new_connections(proxy: Proxy, connection: socket.socket) -> None:
    with proxy.cut():
        with pytest.raises(ConnectionResetError):
            connection.recv(100)
        with (
            pytest.raises(ConnectionResetError),
            socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as another,
        ):
            another.recv(100)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as another:
        assert is_echoed(another)


def test_stop_closes_connections_that_were_just_opened(upstream: Path) -> None:
    """One that is left open is a ResourceWarning of whatever test runs when it is collected."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        for _ in range(20):
            with before(upstream) as proxy:
                opened = [socket.create_connection(("127.0.0.1", proxy.port)) for _ in range(6)]
            for connection in opened:
                connection.close()
            gc.collect()

    assert [str(one.message) for one in caught] == []
