"""Futures that one thread resolves for others: for threads, and for coroutines on an event loop."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

R = TypeVar("R")
# A thread waits by `.result(timeout)`, a coroutine by `await`.
AnyFuture = Future[R] | asyncio.Future[R]


def new_future() -> "AnyFuture[Any]":
    """A future of the event loop that runs in this thread. If none runs, a future for threads."""
    try:
        return asyncio.get_running_loop().create_future()
    except RuntimeError:
        return Future()


def is_wanted(future: "AnyFuture[Any]") -> bool:
    """Whether the future was not canceled. A future for threads can no longer be canceled afterwards."""
    return future.set_running_or_notify_cancel() if isinstance(future, Future) else not future.cancelled()


def resolve(results: "Iterable[tuple[AnyFuture[Any], Any]]") -> None:
    """Give each future its result. A result that is an exception is raised. Futures that are resolved stay as they are.

    An event loop is woken up once for all of its futures: each wake-up costs a system call, after which the calling
    thread competes with the loop for the interpreter.
    """
    of_loops: defaultdict[asyncio.AbstractEventLoop, list[tuple[AnyFuture[Any], Any]]] = defaultdict(list)
    for future, result in results:
        if isinstance(future, Future):
            set_result(future, result)
        else:
            of_loops[future.get_loop()].append((future, result))
    for loop, own in of_loops.items():
        with suppress(RuntimeError):  # the loop is closed, so no request waits in it
            loop.call_soon_threadsafe(_set_all, own)


def _set_all(results: "list[tuple[AnyFuture[Any], Any]]") -> None:
    for future, result in results:
        set_result(future, result)


def set_result(future: "AnyFuture[Any]", result: Any) -> None:
    """Give a future its result, unless it has one or was canceled. A result that is an exception is raised."""
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
