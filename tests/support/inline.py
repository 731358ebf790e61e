"""Batches and API views in the test's own thread, so that they see the rows of a transaction that it has open."""

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

# Calls that other threads hand to the test's thread while it waits for a response; None when the response is there.
calls: "queue.SimpleQueue[Callable[[], None] | None]" = queue.SimpleQueue()


class InlineExecutor(Executor):
    """Runs a call in the test's thread: at once, or when the test waits for a response of the API."""

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
    """The result of a future, while this thread runs the calls that are handed to it."""
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
