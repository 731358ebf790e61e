"""What a scenario is, and what its fault has at hand. A new fault is a function with `@scenario` in `scenarios/`."""

import random
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tests.chaos import audit
from tests.chaos.ledger import Asked, Ledger
from tests.chaos.load import Client
from tests.chaos.stage import LINES, Stage
from tests.support.stack import TERMINAL, Stack


class NotRunHere(Exception):
    """The fault cannot be made on this machine, or not on this database; says why."""


class Broken(AssertionError):
    """A promise was not kept; says which."""


class Scene:
    """A stack under load, while a fault is made."""

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

    def strike(self) -> None:
        """A fault strikes now: recovery is measured from here."""
        self.ledger.fault()

    def beats(self, every: float) -> Iterator[None]:
        """Now, and again after each `every` seconds, for as long as the fault is to last."""
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            yield
            time.sleep(every)

    def rest(self, seconds: float) -> None:
        time.sleep(seconds)

    def ask(
        self, x: float | None = None, seconds: float = 0.0, model: str = "probe", or_else: tuple[str, ...] = ()
    ) -> int | None:
        """Ask for one row more, beside the load; its number if it was accepted."""
        number = next(self.stage.numbers)
        row = Asked(number if x is None else x, or_else)
        return number if self._client.ask(number, row, seconds, model) else None

    def states(self) -> dict[int, str]:
        """Of all rows asked for so far, by their numbers."""
        return {row.number: row.state for row in audit.read(self.stack, self.ledger)}

    def have_ended(self, numbers: Collection[int | None]) -> bool:
        states = self.states()
        return all(number in states and states[number] in TERMINAL for number in numbers)

    def check(self, holds: object, promise: str) -> None:
        if not holds:
            raise Broken(promise)

    def wait_until(self, condition: Callable[[], object], seconds: float, what: str) -> None:
        end = time.monotonic() + seconds * self.stage.patience
        while not condition():
            if time.monotonic() > end:
                raise Broken(f"after {seconds:g} s still not: {what}")
            time.sleep(0.2)


Fault = Callable[[Scene], None]
Opens = Callable[[Stage], AbstractContextManager[Stack]]


@dataclass(frozen=True)
class Scenario:
    """
    Args:
        tests: its number in the list of faults, T1 to T21.
        does: in a sentence.
        fault: makes it, while the load lasts; returns when it is over.
        seconds: how long the fault lasts; in the quick programme `quick_seconds`.
        rate: rows asked for in a second.
        row_seconds: what a predict call takes.
        settles: everything has ended within so many seconds after the fault.
        longest: no request may take longer, in seconds.
        refuses: whether a 503 that says when to come back is right here.
        insists: whether what was refused is asked again.
        opens: a stack of its own; None for the one that most share.
        starts: the lines that run at the start.
        on_accepted: makes, for a stack, what is called after each acceptance.
        only_on: the database that it runs on, and why not on another.
        in_suite: whether `make test` runs it too, shortened.
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
    """Register a fault; its name and its docstring are the scenario's."""

    def register(fault: Fault) -> Fault:
        name = fault.__name__.replace("_", "-")
        REGISTERED[name] = Scenario(name, tests, " ".join((fault.__doc__ or "").split()), fault, **more)  # type: ignore[arg-type]
        return fault

    return register
