"""Web processes and their listening sockets: how connections are spread, and what happens when a process ends."""

import errno
import os
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from project.env import BASE_DIR
from project.server.processes import ACCEPTED_AT_ONCE, QUEUE, listen
from tests.support.waiting import wait_until

PROCESSES = 2
SECONDS = 15.0

# Answers each connection with the id of its process. With "crash" all processes of the second socket end at once, and
# with "orphan" the server has a child that it did not start.
SERVER = """
import os, sys
from project.server.processes import Processes, listen

def run(listener):
    if "crash" in sys.argv and listener is listeners[1]:
        os._exit(1)
    while True:
        connection, _ = listener.accept()
        connection.sendall(str(os.getpid()).encode())
        connection.close()

listeners = listen("127.0.0.1", 0, 2)
if "orphan" in sys.argv and not os.fork():
    os._exit(0)
print(listeners[0].getsockname()[1], flush=True)
Processes(listeners, run, drain_seconds=0).serve()
"""


@pytest.fixture(params=["127.0.0.1", "::1"])
def listeners(request: pytest.FixtureRequest) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        try:
            found = listen(request.param, 0, PROCESSES)
        except OSError as error:
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
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


# --- Sockets ----------------------------------------------------------------------------------------------------------
def test_each_process_gets_a_part_of_the_connections(listeners: list[socket.socket]) -> None:
    counts = [0] * PROCESSES

    def all_are_accepted() -> bool:
        for place, one in enumerate(listeners):
            counts[place] += accepted(one)
        return sum(counts) == 100

    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(socket.create_connection(listeners[0].getsockname()[:2]))
        wait_until(all_are_accepted, SECONDS, "all connections are accepted")

    # The kernel spreads them by a hash of both addresses. Fewer than ten of a hundred would not be an accident.
    assert min(counts) >= 10


@pytest.mark.parametrize("count", [1, 2])
def test_port_of_a_server_that_runs_is_refused(listeners: list[socket.socket], count: int) -> None:
    """Otherwise a second server would get a part of the first one's connections."""
    host, port = listeners[0].getsockname()[:2]

    with pytest.raises(OSError, match="in use"):
        listen(host, port, count)


def test_kernel_keeps_a_long_queue_whatever_a_process_accepts_at_once(listeners: list[socket.socket]) -> None:
    for one in listeners:
        one.listen(ACCEPTED_AT_ONCE)  # as asyncio does
    # Of a listening socket Linux gives the length of the queue as tcpi_sacked: eight bytes, then the sixth number.
    queues = [
        struct.unpack_from("@6I", one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 8)[5] for one in listeners
    ]

    assert queues == [min(QUEUE, int(Path("/proc/sys/net/core/somaxconn").read_text()))] * PROCESSES


def test_processes_share_a_socket_where_a_system_does_not_spread_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    first, *others = listen("127.0.0.1", 0, 3)
    with first:
        assert others == [first, first]


def test_processes_share_a_socket_where_the_kernel_refuses_a_second_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "SO_REUSEPORT", socket.SO_KEEPALIVE)  # an option that does not help
    first, *others = listen("127.0.0.1", 0, 3)
    with first:
        assert others == [first, first]


# --- Processes --------------------------------------------------------------------------------------------------------
class Running:
    def __init__(self, *words: str) -> None:
        command = [sys.executable, "-c", SERVER, *words]
        self.process = subprocess.Popen(
            command, cwd=BASE_DIR, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self.process.stdout
        self.port = int(self.process.stdout.readline())

    def ask(self) -> int:
        """The id of the process that answers."""
        said = b""
        while not said:  # a process may be killed between its accept and its answer
            with socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS) as client:
                said = client.recv(100)
        return int(said)

    def ask_any(self) -> int:
        """The id of the process that answers first. A connection to the socket of a dead process gets no answer."""
        with ExitStack() as stack:
            clients = [
                stack.enter_context(socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS))
                for _ in range(20)
            ]
            said = b""
            while not said:  # as above
                ready, _, _ = select.select(clients, [], [], SECONDS)
                said = ready[0].recv(100)
                clients.remove(ready[0])
            return int(said)

    def ask_until(self, is_enough: Callable[[set[int]], bool]) -> set[int]:
        """The ids of all processes that answered, as soon as `is_enough` is true for them."""
        found: set[int] = set()

        def ask() -> bool:
            found.add(self.ask())
            return is_enough(found)

        wait_until(ask, SECONDS, "the processes answer")
        return found

    def end(self) -> tuple[int, str]:
        self.process.terminate()
        said = self.process.communicate(timeout=SECONDS)[1]
        return self.process.returncode, said

    def wipe_out(self) -> None:
        """Kill the server with all its processes, if they still run."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    with ExitStack() as stack:

        def _start(*words: str) -> Running:
            running = Running(*words)
            stack.enter_context(running.process)
            stack.callback(running.wipe_out)
            return running

        yield _start


def test_killed_process_is_replaced_and_the_other_goes_on(start: Callable[..., Running]) -> None:
    server = start()
    killed, other = server.ask_until(lambda found: len(found) == PROCESSES)
    os.kill(killed, signal.SIGKILL)

    answering = server.ask_until(lambda found: len(found - {killed}) == PROCESSES)

    assert answering - {killed} > {other}
    assert server.end() == (0, "")


def test_process_that_crashes_again_and_again_does_not_delay_the_replacement_of_others(
    start: Callable[..., Running],
) -> None:
    server = start("crash")
    first = server.ask_any()
    os.kill(first, signal.SIGKILL)

    assert server.ask_any() != first


def test_child_of_another_process_does_not_end_the_server(start: Callable[..., Running]) -> None:
    server = start("orphan")

    server.ask_until(lambda found: len(found) == PROCESSES)

    assert server.end() == (0, "")
