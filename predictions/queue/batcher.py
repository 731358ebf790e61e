"""Batching: items submitted while a batch runs are processed together by the next batch, in a thread.

Threads and coroutines share one batcher: a thread calls `submit(item).result()`, a coroutine `await ask(item)`. A
single item is processed at once; under load the batches grow instead of the queue for the database.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from predictions.queue.futures import AnyFuture, is_wanted, resolve

A = TypeVar("A")
R = TypeVar("R")
Entry = tuple[A, AnyFuture[R]]


class Batcher(Generic[A, R]):
    """Processes submitted items in batches, one batch at a time.

    Args:
        process: returns one result or exception for each item, in order. If it raises, it must have had no effect:
            then the items are processed one by one, so an invalid item fails alone.
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
        self._add(item, future)
        return future

    async def ask(self, item: A) -> R:
        """The result of `item`, for a coroutine. An item whose coroutine is canceled before its batch is dropped."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._add(item, future)
        return await future

    def _add(self, item: A, future: AnyFuture[R]) -> None:
        with self._lock:
            self._waiting.append((item, future))
            if self._is_running:
                return
            self._is_running = True
        self.executor.submit(self._run)

    def _run(self) -> None:
        size = 0
        while batch := self._next(after_several=size > 1):
            size = len(batch)
            live = [entry for entry in batch if is_wanted(entry[1])]
            if live and (error := self._attempt(live)):
                self._attempt_one_by_one(live, error)

    def _next(self, after_several: bool) -> list[Entry[A, R]]:
        """The items of the next batch. If no items wait, it is empty and the run ends."""
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
        resolve((future, result) for (_, future), result in zip(batch, results, strict=True))
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
                resolve([(entry[1], found)])

    def _fail(self, batch: Sequence[Entry[A, R]], error: Exception) -> None:
        """Fail a batch. After a fatal error, all waiting items fail too."""
        resolve((future, error) for _, future in batch)
        if isinstance(error, self._fatal):
            with self._lock:
                waiting, self._waiting = self._waiting, []
            resolve((future, error) for _, future in waiting if is_wanted(future))


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
