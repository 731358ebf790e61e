"""The web processes: forked from one that has imported everything, with one listening socket."""

import asyncio
import logging
import math
import os
import resource
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from uvicorn import Config, Server

from project.server.guard import end_slow

SWEEP_SECONDS = 1.0
RESPAWN_SECONDS = 1.0
# What a process may need after the end of its last request.
SPARE_SECONDS = 5.0
# Connections that wait until a process accepts them.
QUEUE = 2048
# A process that accepts all that wait when it wakes up leaves none to the others: they would be idle while it is busy.
ACCEPTED_AT_ONCE = 4


class GuardedServer(Server):
    """Ends slow connections once a second, and itself when the process that started it has gone."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._parent = os.getppid()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # Also while the last requests are answered: a slow one must not delay the end.
        self._sweeper = asyncio.create_task(self._sweep())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        from predictions.queue import notifications  # noqa: PLC0415 - the settings are read at the first import

        await super().shutdown(sockets)
        # The workers of the rows that were accepted last.
        await asyncio.to_thread(notifications.sender.shutdown)

    async def _sweep(self) -> None:
        while True:
            end_slow(self.server_state.connections)
            await asyncio.sleep(SWEEP_SECONDS)

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or os.getppid() != self._parent


class Processes:
    """Starts processes, starts another for each that ends by itself, and ends all at SIGTERM or SIGINT.

    Args:
        run: serves from the socket until SIGTERM; called in each process.
        drain_seconds: how long the processes may take to answer what they have accepted, before they are killed.
    """

    def __init__(self, listener: socket.socket, run: Callable[[], None], count: int, drain_seconds: float) -> None:
        self._listener = listener
        self._run = run
        self._count = count
        self._drain_seconds = drain_seconds
        self._running: set[int] = set()
        self._is_ending = False

    def serve(self) -> None:
        """Returns when all processes have ended."""
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGINT, self._end)
        signal.signal(signal.SIGALRM, lambda *_: self._signal(signal.SIGKILL))
        for _ in range(self._count):
            self._start()
        while self._running:
            pid, _ = os.wait()
            self._running.discard(pid)
            if not self._is_ending:
                time.sleep(RESPAWN_SECONDS)
            if not self._is_ending:
                self._start()

    def _start(self) -> None:
        if pid := os.fork():
            self._running.add(pid)
            return
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        try:
            self._run()
        except Exception:
            logging.getLogger(__name__).exception("a web process failed and is replaced")
        finally:
            os._exit(1)  # a process that ended as it was told to has done so by its signal

    def _end(self, number: int, frame: FrameType | None) -> None:
        """The socket is closed here too, or connections would wait in it for a process that never takes them."""
        if not self._is_ending:
            self._is_ending = True
            self._listener.close()
            signal.alarm(math.ceil(self._drain_seconds + SPARE_SECONDS))
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._running:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


class Listener(socket.socket):
    """A listening socket that several processes accept from.

    asyncio takes one number, its `backlog`, for two things: the queue of the kernel, and how many connections a process
    accepts when it wakes up. Here the queue always has the same length, so that `ACCEPTED_AT_ONCE` can be the number.
    """

    def listen(self, backlog: int = QUEUE, /) -> None:
        super().listen(QUEUE)


def listen(host: str, port: int) -> Listener:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends without delay (TCP_NODELAY) on sockets of this protocol only.
    listener = Listener(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.set_inheritable(True)
    return listener


def allow_many_connections() -> None:
    """Raise the soft limit of open files to the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
