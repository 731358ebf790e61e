"""Scenarios, and the operations that a fault can use. A new fault is a function with `@scenario` in `scenarios/`."""

import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from tests.chaos import audit
from tests.chaos.ledger import Ledger, Submission
from tests.chaos.load import Client
from tests.chaos.oracle import Outcome
from tests.chaos.stage import LINES, Stage
from tests.support.stack import TERMINAL, Stack


class NotRunnable(Exception):
    """The fault cannot be injected on this machine or database. The message gives the reason."""


class PromiseBroken(AssertionError):
    """The promise in the message was not kept."""


class Scene:
    """A stack under load, and the operations of a fault."""

    def __init__(self, stack: Stack, stage: Stage, seconds: float, rng: random.Random) -> None:
        self.stack = stack
        self.stage = stage
        self.seconds = seconds
        self.random = rng
        self.ledger = Ledger()
        self.notes: list[str] = []
        self._client = Client(str(stack.client.base_url), self.ledger)

    def close(self) -> None:
        self._client.close()

    def mark_fault(self) -> None:
        """Record that a fault begins now: recovery times start here."""
        self.ledger.mark_fault()

    def every(self, seconds: float) -> Iterator[None]:
        """Iterate every `seconds` for the duration of the fault."""
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            yield
            time.sleep(seconds)

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)

    def submit(
        self, x: float | None = None, seconds: float = 0.0, model: str = "probe", allowed_errors: tuple[str, ...] = ()
    ) -> int | None:
        """Submit one row in addition to the load. Returns its number if it was accepted."""
        number = next(self.stage.numbers)
        row = Submission(number if x is None else x, allowed_errors)
        return number if self._client.submit(number, row, seconds, model) else None

    def submit_as(self, model: str, answer: Outcome, features: Mapping[str, Any]) -> int | None:
        """Submit one row of any model, with its right answer. Returns its number if it was accepted."""
        number = next(self.stage.numbers)
        row = Submission(number, answer=answer, features=features)
        return number if self._client.submit(number, row, model=model) else None

    def all_finished(self) -> bool:
        return not audit.unfinished(self.stack)

    def states(self) -> dict[int, str]:
        """The states of all rows submitted so far, by number."""
        return {row.number: row.state for row in audit.read(self.stack, self.ledger)}

    def are_finished(self, numbers: Collection[int | None]) -> bool:
        states = self.states()
        return all(number in states and states[number] in TERMINAL for number in numbers)

    def check(self, holds: object, promise: str) -> None:
        if not holds:
            raise PromiseBroken(promise)

    def wait_until(self, condition: Callable[[], object], seconds: float, what: str) -> None:
        end = time.monotonic() + seconds * self.stage.time_factor
        while not condition():
            if time.monotonic() > end:
                raise PromiseBroken(f"after {seconds:g} s still not: {what}")
            time.sleep(0.2)


Fault = Callable[[Scene], None]
Opens = Callable[[Stage], AbstractContextManager[Stack]]


@dataclass(frozen=True)
class Scenario:
    """
    Args:
        tests: the number of the fault in the list of faults, T1 to T21; for faults found later, P1 and so on.
        does: a description in one sentence.
        fault: injects the fault during the load. It returns when the fault is over.
        seconds: the duration of the fault; `quick_seconds` in quick runs.
        rate: submitted rows per second.
        row_seconds: the duration of a predict call.
        settles: seconds after the fault in which all predictions must finish.
        longest: the maximum seconds of a request.
        recovers: the maximum of the recovery p95, in seconds; None for no limit.
        refuses: whether a 503 with Retry-After is a right response.
        insists: whether clients submit refused rows again.
        opens: creates a stack for this scenario; None for the shared stack.
        starts: the processes of the Procfile that run at the start.
        on_accepted: returns, for a stack, a function that is called after each acceptance.
        only_on: the only database of this scenario, and the reason.
        in_suite: whether `make test` runs a short version too.
    """

    name: str
    tests: str
    does: str
    fault: Fault
    seconds: float = 15.0
    quick_seconds: float = 5.0
    rate: float = 80.0
    row_seconds: float = 0.01
    settles: float = 60.0
    longest: float = 10.0
    recovers: float | None = None
    refuses: bool = False
    insists: bool = True
    threads: int = 6
    opens: Opens | None = None
    starts: tuple[str, ...] = LINES
    only_on: tuple[str, str] | None = None
    in_suite: bool = False
    on_accepted: Callable[[Stack], Callable[[], object]] | None = None


REGISTERED: dict[str, Scenario] = {}


def scenario(tests: str, **more: object) -> Callable[[Fault], Fault]:
    """Register a fault. The scenario takes its name and its docstring."""

    def register(fault: Fault) -> Fault:
        name = fault.__name__.replace("_", "-")
        REGISTERED[name] = Scenario(name, tests, " ".join((fault.__doc__ or "").split()), fault, **more)  # type: ignore[arg-type]
        return fault

    return register
