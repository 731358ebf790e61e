"""Rows that an estimator does not survive. They fail alone."""

from contextlib import AbstractContextManager

from tests.chaos.scenario import Scene, scenario
from tests.chaos.stage import LEASE_SECONDS, Stage
from tests.stack import Stack
from tests.worker.estimators import ABORT, CRASH, EAT, HANG, RAISE

ATTEMPTS = 3
# Each attempt costs a lease, and then waits for a sweep and for a worker.
GIVEN_UP_SECONDS = ATTEMPTS * (LEASE_SECONDS + 5)


def _three_attempts(stage: Stage) -> AbstractContextManager[Stack]:
    return stage.stack(MAX_ATTEMPTS=ATTEMPTS)


@scenario(
    "T11", seconds=20, quick_seconds=4, rate=40, settles=2 * GIVEN_UP_SECONDS, opens=_three_attempts, in_suite=True
)
def rows_kill_their_worker(scene: Scene) -> None:
    """Rows that abort the process, are killed as by the kernel, eat all memory, or raise. After three attempts each is
    given up; the others are answered."""
    for x in (RAISE, CRASH, ABORT, EAT):
        scene.strike()
        scene.check(scene.ask(x), "a bad row is accepted like any other")
        scene.rest(scene.seconds / 4)


@scenario("T12", seconds=15, quick_seconds=4, rate=40, settles=2 * GIVEN_UP_SECONDS, opens=_three_attempts)
def rows_hang(scene: Scene) -> None:
    """Rows in whose predict call compiled code never returns: killed at the hard limit, and given up after three
    attempts."""
    for _ in range(2):
        scene.strike()
        scene.check(scene.ask(HANG), "a bad row is accepted like any other")
        scene.rest(scene.seconds / 2)
