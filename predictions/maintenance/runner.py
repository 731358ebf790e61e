"""Runs the jobs of the maintenance process. A job that fails or is slow does not stop the others."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from django.db import Error, connection

logger = logging.getLogger(__name__)

# The shortest pause between two checks for due jobs, for example while a slow job is under way.
SHORTEST_PAUSE = 0.05

# What one run of a job did: counts by name.
Done = Mapping[str, int]


@dataclass(frozen=True)
class Job:
    """
    Attributes:
        interval: seconds from one start to the next.
        budget: seconds that the other jobs wait for a run. A run that takes longer goes on beside them, and the job is
            not started again before that run has ended.
    """

    name: str
    interval: float
    budget: float
    run: Callable[[], Done]


def describe(done: Done) -> str:
    """For people: "2 requeued, 1 expired"."""
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in done.items() if count) or "nothing to do"


def run_once(jobs: Sequence[Job]) -> tuple[Done, list[str]]:
    """Run each job once in this thread. Returns what they did, and the names of those that failed."""
    results = {job.name: _attempt(job) for job in jobs}
    done: Counter[str] = Counter()
    for result in results.values():
        done.update(result or {})
    return done, [name for name, result in results.items() if result is None]


class Runner:
    """Runs jobs at their intervals, one after the other as long as each keeps its budget.

    The threads of the pool live as long as the runner, and idle ones are used again: while no job is slow there is one
    thread, with one database connection.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        self._pool = ThreadPoolExecutor(len(jobs), thread_name_prefix="job")
        self._runs: dict[str, Future[Done | None]] = {}
        self._due = dict.fromkeys((job.name for job in jobs), 0.0)

    def run(self) -> None:
        """Run the jobs until the process is told to end."""
        try:
            while True:
                self.run_due()
                time.sleep(max(min(self._due.values()) - time.monotonic(), SHORTEST_PAUSE))
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def run_due(self) -> None:
        """Start each job that is due, and wait for each at most as long as its budget."""
        for job in self._jobs:
            if time.monotonic() >= self._due[job.name] and not self._is_under_way(job):
                self._start(job)

    def _is_under_way(self, job: Job) -> bool:
        return job.name in self._runs and not self._runs[job.name].done()

    def _start(self, job: Job) -> None:
        self._due[job.name] = time.monotonic() + job.interval
        self._runs[job.name] = run = self._pool.submit(_attempt, job)
        if not wait([run], job.budget).done:
            logger.warning("the job %s takes longer than %.1f s; the others go on", job.name, job.budget)


def _attempt(job: Job) -> Done | None:
    """Run a job, and log what it did. None if it failed."""
    try:
        done = job.run()
    except Error as error:
        logger.warning("the job %s failed: database error %s", job.name, type(error).__name__)
        connection.close()
        return None
    except Exception:
        logger.exception("the job %s failed", job.name)
        return None
    if any(done.values()):
        logger.info("%s: %s", job.name, describe(done))
    return done
