"""Rows that an estimator does not survive. They fail alone."""

from contextlib import AbstractContextManager

from tests.chaos.scenario import Scene, scenario
from tests.chaos.stage import LEASE_SECONDS, Stage
from tests.support.stack import Stack
from tests.worker.estimators import ABORT, CRASH, EAT, HANG, RAISE

ATTEMPTS = 3
# Each attempt costs a lease, and then waits for a sweep and for a worker.
GIVEN_UP_SECONDS = ATTEMPTS * (LEASE_SECONDS + 5)


def _three_attempts(stage: Stage) -> AbstractContextManager[Stack]:
    return stage.stack(MAX_ATTEMPTS=ATTEMPTS)


@scenario(
    "T11, T12", seconds=10, quick_seconds=4, rate=40, settles=2 * GIVEN_UP_SECONDS, opens=_three_attempts, in_suite=True
)
def rows_kill_or_hang_their_worker(scene: Scene) -> None:
    """Rows that abort the process, are killed as by the kernel, eat all memory, raise, or hang in compiled code until
    the hard limit. After three attempts each is given up; the others are answered."""
    bad = (RAISE, CRASH, ABORT, EAT, HANG)
    for x in bad:
        scene.strike()
        scene.check(scene.ask(x), "a bad row is accepted like any other")
        scene.rest(scene.seconds / len(bad))
