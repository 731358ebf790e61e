"""The web processes, which are forked from a process that has imported everything, and their listening sockets."""

import asyncio
import logging
import math
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from uvicorn import Config, Server

from project.server.guard import end_slow

SWEEP_SECONDS = 1.0
# A process that ends sooner than this after its start is replaced only when this time has passed since its start.
RESPAWN_SECONDS = 1.0
# The time that a process may need to end after its last request.
SPARE_SECONDS = 5.0
# Connections that wait until a process accepts them.
QUEUE = 2048
# How many waiting connections a process accepts when it wakes up. If no file descriptor is left, asyncio tries this
# many times in vain.
ACCEPTED_AT_ONCE = 16
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)


class GuardedServer(Server):
    """Ends slow connections once a second, and ends itself when its parent process is gone."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._parent = os.getppid()
        self._is_ending = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # This task also runs while the last requests are answered: a slow client must not delay the end.
        self._sweeper = asyncio.create_task(self._sweep())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        from predictions.queue import notifications  # noqa: PLC0415 - the settings are read at the first import

        self._is_ending = True
        await super().shutdown(sockets)
        # Wait until the workers are notified of the rows that were accepted last.
        await asyncio.to_thread(notifications.sender.shutdown)

    async def _sweep(self) -> None:
        while True:
            end_slow(self.server_state.connections)
            if self._is_ending:  # uvicorn does this once, and misses connections that were accepted just before
                for connection in list(self.server_state.connections):
                    connection.shutdown()
            await asyncio.sleep(SWEEP_SECONDS)

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or os.getppid() != self._parent


class Processes:
    """Starts processes, replaces each one that ends by itself, and ends all of them at SIGTERM or SIGINT.

    Args:
        listeners: a socket for each process, or the same one several times. They stay open here, so that connections
            wait for the next process when one has ended.
        run: serves from a socket until SIGTERM; called in each process.
        drain_seconds: how long the processes may take to answer what they have accepted, before they are killed.
    """

    def __init__(
        self, listeners: Sequence[socket.socket], run: Callable[[socket.socket], None], drain_seconds: float
    ) -> None:
        self._listeners = listeners
        self._run = run
        self._drain_seconds = drain_seconds
        # The socket of each process and the time of its start, by process id.
        self._running: dict[int, tuple[socket.socket, float]] = {}
        self._is_ending = False

    def serve(self) -> None:
        """Returns when all processes have ended."""
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGINT, self._end)
        signal.signal(signal.SIGALRM, lambda *_: self._signal(signal.SIGKILL))
        for listener in self._listeners:
            self._start(listener)
        while self._running:
            pid, _ = os.wait()
            if ended := self._running.pop(pid, None):  # the first process of a container also inherits orphans
                listener, started_at = ended
                self._start(listener, max(0, started_at + RESPAWN_SECONDS - time.monotonic()))

    def _start(self, listener: socket.socket, pause: float = 0.0) -> None:
        """Start a process that serves after a pause; none if all are to end."""
        with _blocked_signals():  # a signal would miss a process that is not in `_running` yet
            if self._is_ending:
                return
            if pid := os.fork():
                self._running[pid] = listener, time.monotonic() + pause
                return
            for number in SIGNALS:
                signal.signal(number, signal.SIG_DFL)
        try:
            for other in self._listeners:
                if other is not listener:  # or it would still listen after its own process has closed it
                    other.close()
            time.sleep(pause)
            self._run(listener)
        except Exception:
            logging.getLogger(__name__).exception("a web process failed and is replaced")
        finally:
            os._exit(1)  # not reached after SIGTERM: uvicorn raises the signal again, which ends the process

    def _end(self, number: int, frame: FrameType | None) -> None:
        """End all processes. The sockets are closed here too, or connections would wait in them for ever."""
        if not self._is_ending:
            self._is_ending = True
            for listener in self._listeners:
                listener.close()
            signal.alarm(math.ceil(self._drain_seconds + SPARE_SECONDS))
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._running:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


@contextmanager
def _blocked_signals() -> Iterator[None]:
    """Signals that arrive inside are handled afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Listener(socket.socket):
    """A listening socket whose queue is always as long as `QUEUE`.

    asyncio takes one number, its `backlog`, for two things: the queue of the kernel, and how many connections a process
    accepts when it wakes up.
    """

    def listen(self, backlog: int = QUEUE, /) -> None:
        super().listen(QUEUE)


def listen(host: str, port: int, count: int) -> list[Listener]:
    """A listening socket for each of `count` processes, all on one address: Linux spreads the connections over them
    (SO_REUSEPORT in socket(7)).

    If all processes accept from one socket, the process that wakes up first takes most connections, while the others
    are idle. Other systems do not spread connections, so all processes share one socket there: the list has it `count`
    times.

    Raises:
        OSError: the address is not one of this machine, or another program listens there.
    """
    # The first bind is without SO_REUSEPORT. Otherwise a second server could start and take half of the connections.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    first = _bind(family, (host, port))
    first.listen()
    if count == 1 or sys.platform != "linux":
        return [first] * count
    _share_port(first)
    others: list[Listener] = []
    try:
        for _ in range(count - 1):
            others.append(_bind(family, first.getsockname(), is_shared=True))
            others[-1].listen()
    except OSError:  # a kernel that imitates Linux may take the option only before a bind
        for other in others:
            other.close()
        return [first] * count
    return [first, *others]


def _bind(family: socket.AddressFamily, address: Any, *, is_shared: bool = False) -> Listener:
    # asyncio sends without delay (TCP_NODELAY) on sockets of this protocol only.
    listener = Listener(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if is_shared:
        _share_port(listener)
    try:
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def _share_port(listener: socket.socket) -> None:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


def allow_many_connections() -> None:
    """Raise the soft limit of open files to the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
