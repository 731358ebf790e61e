"""Celery's prefork pool, in which a killed child cannot stop the worker.

Patches private parts of celery.concurrency.asynpool and billiard.pool. A child that exits reads a shared counter, with
its lock, until the parent has taken all results; the parent kills a child whose exit takes longer than 0.1 s. A child
that is killed while it holds the lock blocks its parent, which waits for the lock without a limit.

Upstream: celery/billiard issue 104 describes this kind of deadlock (a killed child holds a shared lock). It is closed,
and no issue about this counter is known.
Remove the patch when `billiard.pool.Worker._ensure_messages_consumed` reads the counter without its lock, or when the
parent takes that lock with a time-out. The test of this module then passes with Celery's own pool.
"""

from typing import Any

from celery.concurrency import asynpool, prefork


class Counter:
    """The number of a child's results that its parent has taken, as the child reads it."""

    def __init__(self, shared: Any) -> None:
        self._number = shared.get_obj()

    @property
    def value(self) -> int:
        """Read without the lock: it is one aligned integer, and only the parent writes it."""
        return int(self._number.value)


class Child(asynpool.Worker):  # type: ignore[misc]  # Celery has no types
    """A child process that reads the counter without its lock."""

    on_ready_counter: Any

    def after_fork(self) -> None:
        super().after_fork()
        self.on_ready_counter = Counter(self.on_ready_counter)


class AsynPool(asynpool.AsynPool):  # type: ignore[misc]  # Celery has no types
    Worker = Child


class TaskPool(prefork.TaskPool):  # type: ignore[misc]  # Celery has no types
    Pool = AsynPool
