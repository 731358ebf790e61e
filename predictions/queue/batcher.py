"""Batching: items submitted while a batch runs are processed together by the next batch, in a thread.

Threads and coroutines share one batcher: `submit` returns a future, on which a thread calls `.result()` and which a
coroutine awaits by `asyncio.wrap_future`. A single item is processed at once; under load the batches grow instead of
the queue for the database.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Generic, TypeVar

A = TypeVar("A")
R = TypeVar("R")
Entry = tuple[A, Future[R]]


class Batcher(Generic[A, R]):
    """Processes submitted items in batches, one batch at a time.

    Args:
        process: returns one result or exception for each item, in order. If it raises, nothing came of the batch: its
            items are processed one by one, so an invalid item fails alone.
        fatal: errors that concern the database and not an item, raised by `process` or among its results. All waiting
            items fail with such an error at once, so no caller waits longer than one batch may last.
        pause: seconds in which further items may arrive before the next batch, while several arrive at a time. A commit
            of twenty rows costs little more than one of two. A single item never waits.
        size: items in one batch, at most.
        executor: where batches run; a thread of the batcher's own if not given.
    """

    def __init__(
        self,
        process: Callable[[Sequence[A]], Sequence[R | Exception]],
        *,
        fatal: tuple[type[Exception], ...] = (),
        pause: float = 0.0,
        size: int = 64,
        executor: Executor | None = None,
    ) -> None:
        self._process = process
        self._fatal = fatal
        self._pause = pause
        self._size = size
        self.executor = executor or ThreadPoolExecutor(1, thread_name_prefix="batcher")
        self._lock = threading.Lock()
        self._waiting: list[Entry[A, R]] = []
        self._is_running = False

    def submit(self, item: A) -> "Future[R]":
        """The future result of `item`. An item whose future is canceled before its batch begins is dropped."""
        future: Future[R] = Future()
        with self._lock:
            self._waiting.append((item, future))
            if self._is_running:
                return future
            self._is_running = True
        self.executor.submit(self._run)
        return future

    def _run(self) -> None:
        size = 0
        while batch := self._next(after_several=size > 1):
            size = len(batch)
            live = [entry for entry in batch if entry[1].set_running_or_notify_cancel()]
            if live and (error := self._attempt(live)):
                self._attempt_one_by_one(live, error)

    def _next(self, after_several: bool) -> list[Entry[A, R]]:
        """The items of the next batch; empty, and the run is over, if no items wait."""
        if self._pause and self._waiting and (after_several or len(self._waiting) > 1):
            time.sleep(self._pause)
        with self._lock:
            batch, self._waiting = self._waiting[: self._size], self._waiting[self._size :]
            self._is_running = bool(batch)
        return batch

    def _attempt(self, batch: list[Entry[A, R]]) -> Exception | None:
        """Process a batch and settle its futures. If that raises, return the error and settle none."""
        try:
            results = self._process([item for item, _ in batch])
            if len(results) != len(batch):
                raise RuntimeError(f"{len(results)} results for {len(batch)} items")  # noqa: TRY301 - handed on below
        except Exception as error:  # noqa: BLE001 - handed to the callers
            return error
        for (_, future), result in zip(batch, results, strict=True):
            _settle(future, result)
        if fatal := next((result for result in results if isinstance(result, self._fatal)), None):
            self._fail([], fatal)
        return None

    def _attempt_one_by_one(self, batch: list[Entry[A, R]], error: Exception) -> None:
        if len(batch) == 1 or isinstance(error, self._fatal):
            self._fail(batch, error)
            return
        for place, entry in enumerate(batch):
            if found := self._attempt([entry]):
                if isinstance(found, self._fatal):
                    self._fail(batch[place:], found)
                    return
                entry[1].set_exception(found)

    def _fail(self, batch: Sequence[Entry[A, R]], error: Exception) -> None:
        """Fail a batch; after a fatal error, all that wait too."""
        for _, future in batch:
            future.set_exception(error)
        if isinstance(error, self._fatal):
            with self._lock:
                waiting, self._waiting = self._waiting, []
            for _, future in waiting:
                if future.set_running_or_notify_cancel():
                    future.set_exception(error)


def map_catching(step: Callable[[A], R], items: Sequence[A], fatal: tuple[type[Exception], ...]) -> list[R | Exception]:
    """The result of `step` for each item, or the exception that it raised. A fatal exception is raised at once."""
    return [_attempt(step, item, fatal) for item in items]


def _attempt(step: Callable[[A], R], item: A, fatal: tuple[type[Exception], ...]) -> R | Exception:
    try:
        return step(item)
    except fatal:
        raise
    except Exception as error:  # noqa: BLE001 - handed to the caller that submitted the item
        return error


def _settle(future: "Future[R]", result: R | Exception) -> None:
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
