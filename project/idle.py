"""Ends a Celery worker that has nothing to do."""

import time
from typing import Any

from celery import signals
from celery.exceptions import WorkerShutdown
from celery.platforms import EX_OK
from celery.worker import state

CHECK_SECONDS = 1.0


class Idleness:
    """Ends the worker of this process by a warm shutdown when it has had no task for a given time.

    Attributes:
        ended_the_worker: whether idleness, and not a signal, has ended the worker.
    """

    def __init__(self) -> None:
        self.ended_the_worker = False
        self._is_ending = False
        self._seconds = float("inf")
        self._received = 0
        self._busy_at = 0.0

    def watch(self, seconds: float) -> None:
        """End the worker after `seconds` without a task. Call this before the worker starts."""
        self._seconds = seconds
        signals.worker_ready.connect(self._begin, weak=False)
        signals.worker_shutting_down.connect(self._told_to_end, weak=False)

    def _begin(self, sender: Any, **_: object) -> None:
        self._busy_at = time.monotonic()
        sender.timer.call_repeatedly(CHECK_SECONDS, self._check)

    def _check(self) -> None:
        if self._is_ending:  # timers still run in a thread, where this method must not raise
            return
        received = sum(state.total_count.values())
        if state.reserved_requests or received != self._received:
            self._received, self._busy_at = received, time.monotonic()
        elif time.monotonic() - self._busy_at > self._seconds:
            self._is_ending = self.ended_the_worker = True
            raise WorkerShutdown(EX_OK)

    def _told_to_end(self, **_: object) -> None:
        """Called when a signal such as SIGTERM ends the worker."""
        self._is_ending, self.ended_the_worker = True, False


idleness = Idleness()
