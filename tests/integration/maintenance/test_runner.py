"""Jobs that fail or are slow do not stop the others."""

import logging
import threading
from collections.abc import Callable, Iterator

import pytest
from django.db import DatabaseError, InterfaceError

from predictions.maintenance.runner import Done, Job, Runner, describe, run_once
from tests.support.waiting import wait_until


class Counted:
    """A job that counts its runs."""

    def __init__(self, name: str, interval: float = 0.0) -> None:
        self.runs = 0
        self.job = Job(name, interval, 5.0, self._run)

    def _run(self) -> Done:
        self.runs += 1
        return {"expired": self.runs}


def failing(error: Exception) -> Callable[[], Done]:
    def run() -> Done:
        raise error

    return run


@pytest.fixture
def blocked() -> Iterator[Job]:
    """A job that does not end before the test does."""
    is_over = threading.Event()

    def run() -> Done:
        is_over.wait(30)
        return {}

    yield Job("blocked", 0.0, 0.05, run)
    is_over.set()


@pytest.mark.parametrize("error", [DatabaseError("away"), InterfaceError("closed"), ValueError("a bug")])
def test_job_that_fails_does_not_stop_the_others(error: Exception) -> None:
    other = Counted("other")
    runner = Runner([Job("failing", 0.0, 5.0, failing(error)), other.job])

    runner.run_due()
    runner.run_due()

    assert other.runs == 2


def test_job_that_fails_is_run_again() -> None:
    results: list[Callable[[], Done]] = [failing(DatabaseError("away")), lambda: {"expired": 1}]
    seen: list[Done] = []

    def run() -> Done:
        seen.append(results.pop(0)())
        return seen[-1]

    runner = Runner([Job("leases", 0.0, 5.0, run)])
    runner.run_due()
    runner.run_due()

    assert seen == [{"expired": 1}]


def test_slow_job_delays_the_others_by_its_budget_only(blocked: Job) -> None:
    leases = Counted("leases")
    runner = Runner([blocked, leases.job])

    for _ in range(3):
        runner.run_due()

    assert leases.runs == 3


def test_slow_job_is_reported_once_for_each_run(blocked: Job, caplog: pytest.LogCaptureFixture) -> None:
    runner = Runner([blocked])

    runner.run_due()
    runner.run_due()

    assert caplog.messages == ["the job blocked takes longer than 0.1 s; the others go on"]


def test_job_is_not_run_before_its_interval_has_passed() -> None:
    rare = Counted("rare", interval=3600)
    runner = Runner([rare.job])

    runner.run_due()
    runner.run_due()

    assert rare.runs == 1


def test_database_error_is_logged_by_its_type(caplog: pytest.LogCaptureFixture) -> None:
    """Its text may carry values of rows."""
    Runner([Job("leases", 0.0, 5.0, failing(DatabaseError("row 17")))]).run_due()

    assert caplog.messages == ["the job leases failed: database error DatabaseError"]


def test_run_once_adds_up_what_the_jobs_did_and_names_those_that_failed(caplog: pytest.LogCaptureFixture) -> None:
    jobs = [
        Job("leases", 1.0, 1.0, lambda: {"lost": 1, "expired": 2}),
        Job("broken", 1.0, 1.0, failing(ValueError("a bug"))),
        Job("retention", 1.0, 1.0, lambda: {"pruned": 0}),
    ]
    with caplog.at_level(logging.INFO):
        done, failed = run_once(jobs)

    assert (describe(done), failed) == ("1 lost, 2 expired", ["broken"])
    assert "leases: 1 lost, 2 expired" in caplog.messages


def test_describe_of_nothing_says_so() -> None:
    assert describe({"lost": 0, "executed_for": 0}) == "nothing to do"
    assert describe({"executed_for": 2}) == "2 executed for"


def test_slow_job_runs_again_after_it_has_ended() -> None:
    release = threading.Semaphore(0)
    started: list[int] = []

    def run() -> Done:
        started.append(1)
        release.acquire(timeout=30)
        return {}

    runner = Runner([Job("slow", 0.0, 0.05, run)])
    runner.run_due()
    release.release()
    wait_until(lambda: runner.run_due() or len(started) == 2, 5, "a second run")
    release.release()
