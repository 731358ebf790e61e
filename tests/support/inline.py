"""Runs batches and API views in the test's own thread, so that they see the uncommitted rows of its transaction."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import pytest

from predictions import tasks
from predictions.api import callers, threads
from predictions.queue import notifications, redis_client
from predictions.use_cases import lookup, submit

# Calls that other threads pass to the test's thread while it waits for a response. None says that it has arrived.
calls: "queue.SimpleQueue[Callable[[], None] | None]" = queue.SimpleQueue()


class InlineExecutor(Executor):
    """Runs calls in the test's thread: its own calls at once, those of other threads while it waits for a response."""

    def __init__(self) -> None:
        self._thread = threading.current_thread()

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()

        def run() -> None:
            try:
                future.set_result(call(*args, **kwargs))
            except Exception as error:  # noqa: BLE001 - for the thread or the coroutine that waits
                future.set_exception(error)

        if threading.current_thread() is self._thread:
            run()
        else:
            calls.put(run)
        return future


def run_until_done(answer: "Future[Any]") -> Any:
    """Run the calls of other threads in this thread until the future is done. Returns its result."""
    answer.add_done_callback(lambda _: calls.put(None))
    while (call := calls.get()) is not None:
        call()
    return answer.result()


def run_inline(monkeypatch: pytest.MonkeyPatch) -> None:
    executor = InlineExecutor()
    batchers: list[Any] = [
        lookup.models, lookup.versions, lookup.predictions, lookup.statuses, callers.tokens, submit.submissions,
    ]  # fmt: skip
    for batcher in batchers:
        monkeypatch.setattr(batcher, "executor", executor)
    monkeypatch.setattr(lookup, "reading", executor)
    monkeypatch.setattr(redis_client.helper, "executor", executor)
    monkeypatch.setattr(notifications, "sender", executor)
    monkeypatch.setattr(threads, "threads", executor)
    for module in (lookup, callers, submit, threads, tasks):
        monkeypatch.setattr(module, "close_old_connections", lambda: None)
