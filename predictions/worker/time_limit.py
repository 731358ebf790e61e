"""The time limit of one predict call. Only workers import this.

A thread watches the call, because a signal handler does not run while compiled code runs. If the call lasts too long,
the thread settles its rows and kills the process. Code that never releases Python's interpreter lock stops this thread
too: then Celery's hard time limit kills the process, and the rows are left to their lease.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from predictions.models import Claim

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Call:
    """A predict call under way: the version, its rows, and the monotonic time of its start."""

    version_id: int
    claim: Claim
    started: float

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


class TimeLimit:
    """Watches the predict calls of this process, one at a time.

    Args:
        seconds: the limit of one call.
        on_exceeded: settles the rows of a call that lasts longer, before the process is killed.
    """

    def __init__(self, seconds: float, on_exceeded: Callable[[Call], None]) -> None:
        self._seconds = seconds
        self._on_exceeded = on_exceeded
        self._call: Call | None = None
        self._watcher: tuple[int, threading.Thread] | None = None

    @contextmanager
    def applied(self, version_id: int, claim: Claim) -> Iterator[None]:
        """Watch the body of the `with` statement, which is one predict call."""
        self._start_watcher()
        self._call = Call(version_id, claim, time.monotonic())
        try:
            yield
        finally:
            self._call = None

    def _start_watcher(self) -> None:
        """A fork does not copy threads: each child starts its own."""
        if self._watcher is None or self._watcher[0] != os.getpid():
            thread = threading.Thread(target=self._watch, name="time-limit", daemon=True)
            self._watcher = os.getpid(), thread
            thread.start()

    def _watch(self) -> None:
        """Count pauses instead of reading the clock: the time for which this process is suspended does not count."""
        pause, length = threading.Event(), min(self._seconds / 8, 1.0)
        watched, spent = None, 0.0
        while not pause.wait(length):
            call = self._call
            watched, spent = call, spent + length if call is watched else 0.0
            if call is not None and spent >= self._seconds:
                self._end(call)

    def _end(self, call: Call) -> None:
        try:
            self._on_exceeded(call)
        except Exception:
            logger.exception("the rows of a predict call that exceeded its time limit are left to their lease")
        if self._call is call:  # it may have returned meanwhile
            os.kill(os.getpid(), signal.SIGKILL)
