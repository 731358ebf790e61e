"""Celery's pool of processes, but for one lock."""

from typing import Any

from celery.concurrency import asynpool, prefork


class Counter:
    """How many of a child's results its parent has taken, as the child sees it."""

    def __init__(self, shared: Any) -> None:
        self._number = shared.get_obj()

    @property
    def value(self) -> int:
        """Read without the lock: it is one aligned integer, which only the parent writes."""
        return int(self._number.value)


class Child(asynpool.Worker):  # type: ignore[misc]  # Celery has no types
    """A child that exits looks at this counter, with its lock, until the parent has taken all; and is killed if that
    takes more than a moment. Killed while it has the lock, it would stop its parent for good: the parent waits for
    that lock without a bound, and the whole worker with it.
    """

    on_ready_counter: Any

    def after_fork(self) -> None:
        super().after_fork()
        self.on_ready_counter = Counter(self.on_ready_counter)


class AsynPool(asynpool.AsynPool):  # type: ignore[misc]  # likewise
    Worker = Child


class TaskPool(prefork.TaskPool):  # type: ignore[misc]  # likewise
    Pool = AsynPool
