"""Batching: items of threads and coroutines are processed together, and an invalid item fails alone."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from predictions.queue.batcher import Batcher, map_catching
from tests.support.waiting import wait_until

SECONDS = 20.0
FATAL = (ConnectionError,)


def marked(items: Sequence[str]) -> list[str | Exception]:
    return [f"{item}!" for item in items]


class Desk:
    """A batcher whose batches wait until the test opens the gate; `batches` are those that have begun."""

    def __init__(self, answer: Callable[[Sequence[str]], Sequence[str | Exception]], **options: float) -> None:
        self.gate = threading.Event()
        self.batches: list[list[str]] = []
        self._answer = answer
        self._threads = ThreadPoolExecutor(1)
        self.batcher = Batcher[str, str](
            self._process,
            fatal=FATAL,
            executor=self._threads,
            pause=options.get("pause", 0.0),
            size=int(options.get("size", 64)),
        )

    def _process(self, items: Sequence[str]) -> Sequence[str | Exception]:
        self.batches.append(list(items))
        assert self.gate.wait(SECONDS)
        return self._answer(items)

    def submit_behind(self, *items: str) -> "list[Future[str]]":
        """Submit the first item, submit the others when its batch has begun, and open the gate."""
        first = self.batcher.submit(items[0])
        wait_until(lambda: bool(self.batches), SECONDS, "the first batch has begun")
        others = [self.batcher.submit(item) for item in items[1:]]
        self.gate.set()
        return [first, *others]

    def close(self) -> None:
        self.gate.set()
        self._threads.shutdown()


@pytest.fixture
def desk() -> Iterator[Callable[..., Desk]]:
    desks: list[Desk] = []

    def make(answer: Callable[[Sequence[str]], Sequence[str | Exception]] = marked, **options: float) -> Desk:
        desks.append(Desk(answer, **options))
        return desks[-1]

    yield make
    for one in desks:
        one.close()


def outcomes(futures: "list[Future[str]]") -> list[str]:
    """Results, or the names of errors."""
    return [type(error).__name__ if (error := future.exception(SECONDS)) else future.result() for future in futures]


def test_single_item_is_a_batch(desk: Callable[..., Desk]) -> None:
    one = desk()
    one.gate.set()

    assert one.batcher.submit("a").result(SECONDS) == "a!"
    assert one.batches == [["a"]]


def test_items_submitted_during_a_batch_make_the_next(desk: Callable[..., Desk]) -> None:
    one = desk()

    assert outcomes(one.submit_behind("a", "b", "c")) == ["a!", "b!", "c!"]
    assert one.batches == [["a"], ["b", "c"]]


def test_batch_is_bounded_in_size(desk: Callable[..., Desk]) -> None:
    one = desk(size=2)

    assert outcomes(one.submit_behind("a", "b", "c", "d")) == ["a!", "b!", "c!", "d!"]
    assert one.batches == [["a"], ["b", "c"], ["d"]]


def test_threads_and_coroutines_share_a_batch(desk: Callable[..., Desk]) -> None:
    one = desk()

    async def main() -> list[str]:
        first = one.batcher.submit("a")
        await asyncio.to_thread(wait_until, lambda: bool(one.batches), SECONDS, "the first batch has begun")
        with ThreadPoolExecutor(1) as pool:
            of_thread = pool.submit(one.batcher.submit, "b").result(SECONDS)
        # The tasks begin in this order, so "c" is submitted before the gate opens.
        third, _ = await asyncio.gather(one.batcher.ask("c"), asyncio.to_thread(one.gate.set))
        return [first.result(SECONDS), of_thread.result(SECONDS), third]

    assert asyncio.run(main()) == ["a!", "b!", "c!"]
    assert one.batches == [["a"], ["b", "c"]]


def test_single_items_never_pause(desk: Callable[..., Desk]) -> None:
    one = desk(pause=10 * SECONDS)
    one.gate.set()

    assert [one.batcher.submit(item).result(SECONDS) for item in ("a", "b")] == ["a!", "b!"]


def test_pause_gathers_items_while_several_come(desk: Callable[..., Desk]) -> None:
    """The batch of "b" and "c" pauses before it begins, and "d" joins it."""
    one = desk(pause=1.0)
    several = one.submit_behind("a", "b", "c")
    assert several[0].result(SECONDS) == "a!"
    late = one.batcher.submit("d")

    assert outcomes([*several, late]) == ["a!", "b!", "c!", "d!"]
    assert one.batches == [["a"], ["b", "c", "d"]]


def refuse_x(items: Sequence[str]) -> list[str | Exception]:
    """Answer as one transaction does: an invalid item fails the whole batch."""
    if "x" in items:
        raise ValueError("x")
    return marked(items)


def test_invalid_item_fails_alone(desk: Callable[..., Desk]) -> None:
    one = desk(refuse_x)

    assert outcomes(one.submit_behind("a", "b", "x", "c")) == ["a!", "b!", "ValueError", "c!"]


def test_exception_among_the_results_fails_its_item(desk: Callable[..., Desk]) -> None:
    one = desk(lambda items: map_catching(lambda item: refuse_x([item])[0], items, FATAL))

    assert outcomes(one.submit_behind("a", "x", "c")) == ["a!", "ValueError", "c!"]
    assert one.batches == [["a"], ["x", "c"]]


def away(items: Sequence[str]) -> list[str | Exception]:
    raise ConnectionError


def test_fatal_error_fails_all_waiting_items_at_once(desk: Callable[..., Desk]) -> None:
    one = desk(away)

    assert outcomes(one.submit_behind("a", "b", "c")) == ["ConnectionError"] * 3
    assert one.batches == [["a"]]


def test_fatal_error_among_the_results_fails_all_waiting_items(desk: Callable[..., Desk]) -> None:
    one = desk(lambda items: [ConnectionError() for _ in items])

    assert outcomes(one.submit_behind("a", "b", "c")) == ["ConnectionError"] * 3
    assert one.batches == [["a"]]


def test_fatal_error_after_an_invalid_item_ends_the_tries(desk: Callable[..., Desk]) -> None:
    def answer(items: Sequence[str]) -> list[str | Exception]:
        if items == ["b"]:
            raise ConnectionError
        return refuse_x(items)

    one = desk(answer)

    assert outcomes(one.submit_behind("a", "b", "x", "c")) == ["a!", *["ConnectionError"] * 3]
    assert one.batches == [["a"], ["b", "x", "c"], ["b"]]


def test_batcher_works_on_after_a_fatal_error(desk: Callable[..., Desk]) -> None:
    states = [away, marked]
    one = desk(lambda items: states.pop(0)(items))
    one.gate.set()

    assert outcomes([one.batcher.submit("a")]) == ["ConnectionError"]
    assert outcomes([one.batcher.submit("b")]) == ["b!"]


def test_wrong_number_of_results_is_an_error(desk: Callable[..., Desk]) -> None:
    one = desk(lambda items: [])
    one.gate.set()

    assert outcomes([one.batcher.submit("a")]) == ["RuntimeError"]


def test_canceled_item_is_not_processed(desk: Callable[..., Desk]) -> None:
    one = desk()
    first = one.batcher.submit("a")
    wait_until(lambda: bool(one.batches), SECONDS, "the first batch has begun")
    gone, other = one.batcher.submit("b"), one.batcher.submit("c")
    gone.cancel()
    one.gate.set()

    assert outcomes([first, other]) == ["a!", "c!"]
    assert one.batches == [["a"], ["c"]]


def test_every_item_of_many_threads_is_answered() -> None:
    batcher = Batcher[str, str](marked, size=7)
    with ThreadPoolExecutor(20) as pool:
        results = list(pool.map(lambda number: batcher.submit(str(number)).result(SECONDS), range(500)))

    assert results == [f"{number}!" for number in range(500)]


def test_map_catching_raises_a_fatal_error() -> None:
    with pytest.raises(ConnectionError):
        map_catching(lambda item: away([item]), ["a", "b"], FATAL)
