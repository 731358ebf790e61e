"""Futures that one thread resolves for threads and for coroutines."""

import asyncio
from concurrent.futures import CancelledError, Future
from typing import Any

import pytest

from predictions.queue.futures import is_wanted, new_future, resolve

SECONDS = 20.0


def test_future_of_a_thread_has_its_result_or_its_exception() -> None:
    right, wrong = new_future(), new_future()
    assert isinstance(right, Future)
    resolve([(right, 5), (wrong, KeyError("x"))])

    assert right.result(SECONDS) == 5
    with pytest.raises(KeyError):
        wrong.result(SECONDS)


def test_coroutines_are_resolved_from_another_thread() -> None:
    async def main() -> list[Any]:
        futures: list[Any] = [new_future() for _ in range(3)]
        await asyncio.to_thread(resolve, list(zip(futures, ["a", "b", ValueError("c")], strict=True)))
        return await asyncio.wait_for(asyncio.gather(*futures, return_exceptions=True), SECONDS)

    first, second, third = asyncio.run(main())
    assert (first, second, type(third)) == ("a", "b", ValueError)


def test_resolved_future_keeps_its_result() -> None:
    future: Any = Future()
    resolve([(future, 1)])
    resolve([(future, 2), (future, ValueError())])

    assert future.result(SECONDS) == 1


def test_future_of_a_loop_that_has_ended_holds_up_no_other() -> None:
    async def left() -> Any:
        return new_future()

    gone, other = asyncio.run(left()), new_future()
    resolve([(gone, 1), (other, 2)])

    assert other.result(SECONDS) == 2  # type: ignore[call-arg]  # it is a thread's
    assert not gone.done()


def test_canceled_future_is_not_wanted() -> None:
    future: Any = Future()
    future.cancel()
    assert not is_wanted(future)
    with pytest.raises(CancelledError):
        future.result(SECONDS)

    async def main() -> bool:
        waiting: Any = new_future()
        waiting.cancel()
        return is_wanted(waiting)

    assert not asyncio.run(main())
