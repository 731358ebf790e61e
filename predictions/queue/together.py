"""Work that gathers: what coroutines ask for while one piece of it is under way is done by the next, all at once.

Django's database is asked in threads. One thread for each request would cost several changes of thread, and the
requests would fight for the interpreter; so those that come at one time share one visit to one thread.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

A = TypeVar("A")
R = TypeVar("R")


class Together(Generic[A, R]):
    """Await an instance with what you ask for.

    Args:
        work: answers for each thing asked, in order, with a result or an exception; what it raises, all get.
        threads: where `work` is done, one piece of it at a time.
        fatal: errors that speak of the database, not of what was asked: all who wait get them at once, so that nobody
            waits longer than one piece of work may last.
        pause: seconds in which more may gather before the next piece of work, while several ask at a time. A commit of
            twenty rows costs little more than one of two; whoever asks alone waits for nobody.
        most: what is asked for in one piece of work, at most.
    """

    def __init__(
        self,
        work: Callable[[Sequence[A]], Sequence[R | Exception]],
        threads: Executor,
        fatal: tuple[type[Exception], ...],
        pause: float = 0.0,
        most: int = 64,
    ) -> None:
        self._work = work
        self._threads = threads
        self._fatal = fatal
        self._pause = pause
        self._most = most
        self._waiting: list[tuple[A, asyncio.Future[R]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def __call__(self, asked: A) -> R:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[R] = loop.create_future()
        self._waiting.append((asked, answer))
        if self._worker is None:
            self._worker = loop.create_task(self._until_nobody_waits())
        return await answer

    async def _until_nobody_waits(self) -> None:
        are_several = False
        try:
            while self._waiting:
                if self._pause and (are_several or len(self._waiting) > 1):
                    await asyncio.sleep(self._pause)
                are_several = len(self._waiting) > 1
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                answers = await self._answers([asked for asked, _ in batch])
                if fatal := next((answer for answer in answers if isinstance(answer, self._fatal)), None):
                    batch, self._waiting = batch + self._waiting, []
                    answers = [*answers, *[fatal] * (len(batch) - len(answers))]
                for (_, future), answer in zip(batch, answers, strict=True):
                    _settle(future, answer)
        finally:
            self._worker = None

    async def _answers(self, asked: list[A]) -> Sequence[R | Exception]:
        try:
            answers = await asyncio.get_running_loop().run_in_executor(self._threads, self._work, asked)
        except Exception as error:  # noqa: BLE001 - handed to whoever asked
            return [error] * len(asked)
        if len(answers) != len(asked):
            return [RuntimeError(f"{len(answers)} answers for {len(asked)}")] * len(asked)
        return answers


def each(step: Callable[[A], R], things: Sequence[A], fatal: tuple[type[Exception], ...]) -> list[R | Exception]:
    """What `step` makes of each thing, or why it does not. A fatal error is raised: the next would wait as long."""
    return [_attempt(step, thing, fatal) for thing in things]


def _attempt(step: Callable[[A], R], thing: A, fatal: tuple[type[Exception], ...]) -> R | Exception:
    try:
        return step(thing)
    except fatal:
        raise
    except Exception as error:  # noqa: BLE001 - handed to whoever asked
        return error


def _settle(future: "asyncio.Future[R]", answer: R | Exception) -> None:
    if future.done():  # whoever asked has gone
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
