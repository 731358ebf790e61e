"""Rows that end the process which predicts them: each is found and gets an error, and the rows beside it are scored."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import pytest

from predictions.batches import isolation
from predictions.maintenance import leases
from predictions.models import BatchChunk, BatchJob, RegisteredModel
from predictions.serving.engines import predictor
from tests.support.files import GOOD, bad_rows, execute, places, results, submit, text

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def iris(registered: dict[str, RegisteredModel]) -> RegisteredModel:
    return registered["iris"]


class Died(BaseException):
    """Simulates the death of a process: the product handles no such exception."""


@pytest.fixture
def deadly(monkeypatch: pytest.MonkeyPatch) -> Callable[[Collection[float]], None]:
    """Let the estimator end the process on rows with these sepal lengths."""
    real = predictor.predict

    def arm(lengths: Collection[float]) -> None:
        def predict(loaded: Any, rows: Sequence[Sequence[Any]]) -> Any:
            if any(row[0] in lengths for row in rows):
                raise Died
            return real(loaded, rows)

        for module in ("isolation", "scoring"):
            monkeypatch.setattr(f"predictions.batches.{module}.predict", predict)

    return arm


def run(job: BatchJob, most: int = 60) -> tuple[BatchJob, int]:
    """Execute a job by workers that may die, and requeue what they leave. Returns the job and the number of deaths."""
    for deaths in range(most):
        try:
            return execute(job), deaths
        except Died:
            BatchChunk.objects.running().update(claimed_until="2000-01-01T00:00Z")
            leases.sweep_files()
    raise AssertionError(f"not finished after {most} deaths")


def rows(count: int, deadly_at: Collection[int] = ()) -> bytes:
    return text([["9.9", *GOOD[1:]] if place in deadly_at else GOOD for place in range(count)])


@pytest.mark.parametrize("at", [{0}, {449}, {137}, {237, 238}, {5, 250, 444}])
def test_only_deadly_rows_are_lost(iris: RegisteredModel, deadly: Callable[..., None], at: set[int]) -> None:
    deadly({9.9})
    job, _ = run(submit(iris, rows(450, at)))

    assert (job.state, len(results(job))) == ("finished", 450)
    assert places(bad_rows(job)) == [(place + 2, ": worker_lost") for place in sorted(at)]
    assert [bool(row["prediction"]) for row in results(job)] == [place not in at for place in range(450)]


def test_large_range_is_searched_in_few_deaths(iris: RegisteredModel, deadly: Callable[..., None]) -> None:
    deadly({9.9})
    job, deaths = run(submit(iris, rows(3000, {1234})))

    assert places(bad_rows(job)) == [(1236, ": worker_lost")]
    assert deaths <= 5


def test_worker_that_was_killed_for_another_reason_loses_no_row(
    iris: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submit(iris, rows(40))
    calls: list[int] = []
    real = isolation.predict

    def predict(loaded: Any, part: Any) -> Any:
        calls.append(len(part))
        if len(calls) in (3, 4, 6):  # the first two calls measure the speed
            raise Died
        return real(loaded, part)

    for module in ("isolation", "scoring"):
        monkeypatch.setattr(f"predictions.batches.{module}.predict", predict)
    job, deaths = run(job)

    assert (job.state, deaths) == ("finished", 3)
    assert bad_rows(job) == []


def test_chunk_whose_rows_all_are_deadly_is_given_up(
    iris: RegisteredModel, deadly: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "MOST_LOST", 3)
    deadly({5.1})
    job, _ = run(submit(iris, rows(30)))

    assert job.state == "finished"
    assert {code for _, code in places(bad_rows(job))} == {": worker_lost"}
    assert len(bad_rows(job)) == 30
