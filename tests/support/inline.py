"""Batches and API views in the test's own thread, so that they see the rows of a transaction that it has open."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import pytest

from predictions.api import callers, threads
from predictions.use_cases import lookup, submit


class InlineExecutor(Executor):
    """Runs a call when it is submitted."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(call(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - for whoever waits for the future
            future.set_exception(error)
        return future


def run_inline(monkeypatch: pytest.MonkeyPatch) -> None:
    executor = InlineExecutor()
    batchers: list[Any] = [
        lookup.models, lookup.versions, lookup.predictions, lookup.statuses, callers.tokens, submit.submissions,
    ]  # fmt: skip
    for batcher in batchers:
        monkeypatch.setattr(batcher, "executor", executor)
    monkeypatch.setattr(lookup, "reading", executor)
    monkeypatch.setattr(threads, "threads", executor)
    for module in (lookup, callers, submit, threads):
        monkeypatch.setattr(module, "close_old_connections", lambda: None)
    # The event loop of the API client runs in the test's thread.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
