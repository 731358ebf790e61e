"""Listening sockets: one for each web process, on one address."""

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from project.server.processes import QUEUE, listen

PROCESSES = 2


@pytest.fixture(params=["127.0.0.1", "::1"])
def listeners(request: pytest.FixtureRequest) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        try:
            found = listen(request.param, 0, PROCESSES)
        except OSError:
            if request.param == "::1":
                pytest.skip("this machine has no IPv6")
            raise
        yield [stack.enter_context(one) for one in found]


def accepted(listener: socket.socket) -> int:
    listener.setblocking(False)
    count = 0
    with suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
            count += 1
    return count


def test_each_process_gets_a_part_of_the_connections(listeners: list[socket.socket]) -> None:
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(socket.create_connection(listeners[0].getsockname()[:2]))
        counts = [accepted(one) for one in listeners]

    # By the kernel's hash of both addresses: that one of them gets less than ten of a hundred is no accident.
    assert sum(counts) == 100
    assert min(counts) >= 10


@pytest.mark.parametrize("count", [1, 2])
def test_port_of_a_server_that_runs_is_refused(listeners: list[socket.socket], count: int) -> None:
    """Otherwise a second server would get a part of the first one's connections."""
    host, port = listeners[0].getsockname()[:2]

    with pytest.raises(OSError, match="in use"):
        listen(host, port, count)


def test_kernel_keeps_a_long_queue_for_each_process(listeners: list[socket.socket]) -> None:
    # Of a listening socket Linux gives the length of the queue as tcpi_sacked: eight bytes, then the sixth number.
    queues = [
        struct.unpack_from("@6I", one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 8)[5] for one in listeners
    ]

    assert queues == [min(QUEUE, int(Path("/proc/sys/net/core/somaxconn").read_text()))] * PROCESSES
