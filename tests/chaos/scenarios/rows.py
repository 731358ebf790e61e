"""Rows that crash or hang the estimator. Only these rows fail."""

from contextlib import AbstractContextManager

from tests.chaos.scenario import Scene, scenario
from tests.chaos.stage import LEASE_SECONDS, Stage
from tests.support.stack import Stack
from tests.worker.estimators import ABORT, CRASH, EXHAUST, HANG, RAISE

ATTEMPTS = 3
# Each attempt lasts a lease, then waits for a sweep of the keeper and for a worker.
ATTEMPTS_SECONDS = ATTEMPTS * (LEASE_SECONDS + 5)


def _three_attempts(stage: Stage) -> AbstractContextManager[Stack]:
    return stage.stack(MAX_ATTEMPTS=ATTEMPTS)


@scenario(
    "T11, T12", seconds=10, quick_seconds=4, rate=40, settles=2 * ATTEMPTS_SECONDS, opens=_three_attempts, in_suite=True
)
def rows_kill_or_hang_their_worker(scene: Scene) -> None:
    """Rows abort the process, get it killed as by the kernel, exhaust its memory, raise, or hang in compiled code until
    the time limit. They fail after at most three attempts, the hanging one after one. All other rows are answered."""
    bad = (RAISE, CRASH, ABORT, EXHAUST, HANG)
    for x in bad:
        scene.mark_fault()
        scene.check(scene.submit(x), "a row that will crash is accepted")
        scene.pause(scene.seconds / len(bad))
