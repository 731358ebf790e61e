import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Executor, Future
from typing import Any

import pytest
from predictions.queue.together import Together, each

SECONDS = 20.0


class Piece:
    """One call of the work, which ends when the test says so."""

    def __init__(self, asked: Sequence[Any], done: "Future[Any]") -> None:
        self.asked = asked
        self._done = done

    def answer(self, answers: Sequence[Any] | None = None) -> None:
        self._done.set_result([f"{one}!" for one in self.asked] if answers is None else answers)

    def fail(self, error: Exception) -> None:
        self._done.set_exception(error)


class ByHand(Executor):
    def __init__(self) -> None:
        self._begun: asyncio.Queue[Piece] = asyncio.Queue()

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        self._begun.put_nowait(Piece(*args, done))
        return done

    async def piece(self) -> Piece:
        return await asyncio.wait_for(self._begun.get(), SECONDS)

    @property
    def is_idle(self) -> bool:
        return self._begun.empty()


class Desk:
    """A Together whose work is done by hand."""

    def __init__(self, **options: Any) -> None:
        self.threads = ByHand()
        self.together = Together[str, str](lambda asked: [], self.threads, (ConnectionError,), **options)

    async def ask(self, *items: str) -> "list[asyncio.Task[str]]":
        """One asker for each, all of whom have asked when this returns."""
        askers = [asyncio.create_task(self.together(item)) for item in items]
        await asyncio.wait(askers, timeout=0)
        return askers

    async def ask_meanwhile(self, *items: str) -> "tuple[Piece, list[asyncio.Task[str]]]":
        """Ask for the first item, and for the others while its piece of work is under way."""
        first = await self.ask(items[0])
        piece = await self.threads.piece()
        return piece, first + await self.ask(*items[1:])


async def answers(askers: "Sequence[asyncio.Task[str]]") -> list[Any]:
    return await asyncio.wait_for(asyncio.gather(*askers, return_exceptions=True), SECONDS)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def on_a_loop() -> None:
        asyncio.run(test())

    on_a_loop.__name__ = test.__name__
    return on_a_loop


@run
async def test_what_comes_while_work_is_under_way_is_done_by_the_next() -> None:
    desk = Desk()
    first, askers = await desk.ask_meanwhile("a", "b", "c", "d")
    first.answer()
    second = await desk.threads.piece()
    second.answer()

    assert await answers(askers) == ["a!", "b!", "c!", "d!"]
    assert (first.asked, second.asked) == (["a"], ["b", "c", "d"])
    assert desk.threads.is_idle


@run
async def test_one_piece_of_work_is_under_way_at_a_time() -> None:
    desk = Desk()
    first, askers = await desk.ask_meanwhile("a", "b")

    assert desk.threads.is_idle
    first.answer()
    (await desk.threads.piece()).answer()
    await answers(askers)


@run
async def test_error_of_one_asker_reaches_only_that_one() -> None:
    desk = Desk()
    askers = await desk.ask("a", "b", "c")
    error = ValueError("b")
    (await desk.threads.piece()).answer(["a!", error, "c!"])

    assert await answers(askers) == ["a!", error, "c!"]


@run
async def test_answers_that_are_too_few_leave_nobody_waiting() -> None:
    desk = Desk()
    askers = await desk.ask("a", "b")
    (await desk.threads.piece()).answer(["a!"])

    assert [str(answer) for answer in await answers(askers)] == ["1 answers for 2"] * 2


@run
async def test_what_the_work_raises_reaches_all_of_that_piece_and_nobody_else() -> None:
    desk = Desk()
    first, askers = await desk.ask_meanwhile("a", "b", "c")
    first.answer()
    error = ValueError()
    (await desk.threads.piece()).fail(error)

    assert await answers(askers) == ["a!", error, error]


@pytest.mark.parametrize("is_raised", [True, False], ids=["raised", "returned"])
def test_fatal_error_reaches_at_once_those_who_gathered_meanwhile(is_raised: bool) -> None:
    async def test() -> None:
        desk = Desk()
        askers = await desk.ask("a", "b")
        first = await desk.threads.piece()
        askers += await desk.ask("c", "d")
        away = ConnectionError()
        first.fail(away) if is_raised else first.answer(["a!", away])

        assert await answers(askers) == [away if is_raised else "a!", away, away, away]
        assert desk.threads.is_idle

    asyncio.run(test())


@run
async def test_error_that_is_not_fatal_is_not_told_to_those_who_gathered_meanwhile() -> None:
    desk = Desk()
    first, askers = await desk.ask_meanwhile("a", "b")
    first.fail(error := ValueError())
    (await desk.threads.piece()).answer()

    assert await answers(askers) == [error, "b!"]


@run
async def test_piece_of_work_has_no_more_than_the_most() -> None:
    desk = Desk(most=2)
    askers = await desk.ask("a", "b", "c", "d", "e")
    asked = []
    for _ in range(3):
        piece = await desk.threads.piece()
        asked.append(piece.asked)
        piece.answer()

    assert await answers(askers) == ["a!", "b!", "c!", "d!", "e!"]
    assert asked == [["a", "b"], ["c", "d"], ["e"]]


@run
async def test_asker_who_has_gone_harms_nobody_else() -> None:
    desk = Desk()
    askers = await desk.ask("a", "b")
    first = await desk.threads.piece()
    askers += await desk.ask("c", "d")
    askers[0].cancel()
    askers[2].cancel()
    await asyncio.wait([askers[0], askers[2]], timeout=SECONDS)
    first.answer()
    (await desk.threads.piece()).answer()

    assert [askers[0].cancelled(), askers[2].cancelled()] == [True, True]
    assert await answers([askers[1], askers[3]]) == ["b!", "d!"]


@run
async def test_asker_who_has_gone_is_not_told_of_an_error() -> None:
    desk = Desk()
    gone, other = await desk.ask("a", "b")
    piece = await desk.threads.piece()
    gone.cancel()
    await asyncio.wait([gone], timeout=SECONDS)
    piece.fail(error := ConnectionError())

    assert await answers([other]) == [error]


# --- The pause --------------------------------------------------------------------------------------------------------
@run
async def test_lone_asker_does_not_pause() -> None:
    desk = Desk(pause=10 * SECONDS)
    for item in ("a", "b"):
        askers = await desk.ask(item)
        (await desk.threads.piece()).answer()

        assert await answers(askers) == [f"{item}!"]


async def late_comer(desk: Desk) -> "tuple[Piece, list[asyncio.Task[str]]]":
    """The second piece, and all who asked: the last of them when the first of them had its answer."""
    first, askers = await desk.ask_meanwhile("a", "b", "c")
    first.answer()
    await answers(askers[:1])
    askers += await desk.ask("d")
    second = await desk.threads.piece()
    second.answer()
    return second, askers


@run
async def test_who_comes_in_the_pause_of_several_joins_them() -> None:
    desk = Desk(pause=0.05)
    second, askers = await late_comer(desk)

    assert second.asked == ["b", "c", "d"]
    assert await answers(askers) == ["a!", "b!", "c!", "d!"]


@run
async def test_without_a_pause_nobody_joins_those_whose_turn_it_is() -> None:
    desk = Desk()
    second, askers = await late_comer(desk)
    (await desk.threads.piece()).answer()

    assert second.asked == ["b", "c"]
    assert await answers(askers) == ["a!", "b!", "c!", "d!"]


# --- Afterwards -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("error", [ValueError(), ConnectionError()], ids=repr)
def test_works_again_after_an_error(error: Exception) -> None:
    async def test() -> None:
        desk = Desk()
        askers = await desk.ask("a")
        (await desk.threads.piece()).fail(error)
        assert await answers(askers) == [error]

        askers = await desk.ask("b")
        (await desk.threads.piece()).answer()
        assert await answers(askers) == ["b!"]

    asyncio.run(test())


# --- Each -------------------------------------------------------------------------------------------------------------
def test_each_thing_fails_for_itself() -> None:
    found = each(int, ["1", "x", "3"], (ConnectionError,))

    assert [type(one) for one in found] == [int, ValueError, int]


def test_nothing_is_tried_after_a_fatal_error() -> None:
    tried: list[str] = []

    def away(thing: str) -> None:
        tried.append(thing)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        each(away, ["a", "b"], (ConnectionError,))
    assert tried == ["a"]
