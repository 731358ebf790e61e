"""Corrections: repetitions and requests at the same time, and the removal of jobs that have some."""

import io
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from predictions.batches import jobs, opening
from predictions.maintenance import retention
from predictions.models import BatchChunk, BatchJob, IdempotencyKey, JobState, ModelVersion
from predictions.models import batch_files as store
from predictions.serving.schema.errors import ForetellError, KeyReused, NotCorrectable
from predictions.use_cases import erase
from predictions.use_cases.callers import of_user
from tests.support.files import ANN, GOOD, bad_rows, correct, execute, submit, text

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "batch:corrections"


def finished(iris: ModelVersion) -> tuple[BatchJob, bytes]:
    """A job with one bad row, and the content of its corrections."""
    job = execute(submit(iris.registered_model, text([GOOD, ["x", *GOOD[1:]]])))
    [bad] = bad_rows(job)
    return job, text([[*GOOD, *list(bad.values())[4:]]], list(bad))


def send(job: BatchJob, content: bytes, key: str | None) -> BatchJob:
    [asked] = jobs.with_versions([BatchJob.objects.get(pk=job.pk)])
    return jobs.correct(asked, ANN, io.BytesIO(content), key)


def at_once(monkeypatch: pytest.MonkeyPatch, *calls: Callable[[], BatchJob]) -> Sequence[BatchJob | ForetellError]:
    """The results of calls that have all passed their first checks before one goes on."""
    together = threading.Barrier(len(calls))
    real = opening.find_layout

    def find_layout(*args: Any) -> Any:
        found = real(*args)
        together.wait(20)
        return found

    monkeypatch.setattr(opening, "find_layout", find_layout)

    def run(call: Callable[[], BatchJob]) -> BatchJob | ForetellError:
        try:
            return call()
        except ForetellError as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def files_of_corrections(job: BatchJob) -> list[str]:
    names = store._storage().listdir(job.folder)[1]
    return [name for name in names if name.startswith("corrections-")]


def reads(job: BatchJob) -> int:
    """How often a file was taken in: the file itself and its corrections."""
    return job.chunks.filter(kind=BatchChunk.READ).count()


# --- Keys -------------------------------------------------------------------------------------------------------------
def test_same_corrections_at_once_are_accepted_once(iris: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    job, content = finished(iris)

    answers = at_once(monkeypatch, *[lambda: send(job, content, KEY)] * 2)

    assert answers == [job, job]
    assert (reads(job), len(files_of_corrections(job))) == (2, 1)


def test_of_other_corrections_at_once_the_later_are_refused(
    iris: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, content = finished(iris)

    answers = at_once(monkeypatch, lambda: send(job, content, "a"), lambda: send(job, content, "b"))

    assert sum(isinstance(answer, NotCorrectable) for answer in answers) == 1
    assert (reads(job), len(files_of_corrections(job)), IdempotencyKey.objects.count()) == (2, 1, 1)


def test_one_key_corrects_one_job(iris: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [finished(iris), finished(iris)]

    answers = at_once(monkeypatch, *[lambda one=one: send(*one, KEY) for one in asked])

    refused = [job for (job, _), answer in zip(asked, answers, strict=True) if isinstance(answer, KeyReused)]
    assert len(refused) == 1
    refused[0].refresh_from_db()
    assert (refused[0].state, reads(refused[0]), files_of_corrections(refused[0])) == (JobState.FINISHED, 1, [])


def test_key_in_use_leaves_a_surrounding_transaction_usable(iris: ModelVersion) -> None:
    job, _ = finished(iris)
    taken = IdempotencyKey(caller=ANN.key, key=KEY, prediction_id=job.pk, request_hash="other")
    with transaction.atomic():
        IdempotencyKey.objects.take([taken])
        chunk = BatchChunk(job=job, kind=BatchChunk.READ, number=BatchChunk.CORRECTIONS, source="input")
        assert not BatchJob.objects.filter(pk=job.pk).reopen(chunk, taken)
        assert reads(job) == 1


# --- Removal ----------------------------------------------------------------------------------------------------------
def test_job_with_corrections_is_removed_and_stops_no_other(iris: ModelVersion, settings: Any) -> None:
    settings.RETENTION = timedelta(days=30)
    job, content = finished(iris)
    correct(job, content)
    execute(submit(iris.registered_model, text([GOOD])))
    BatchJob.objects.update(finished_at=timezone.now() - timedelta(days=40))

    assert retention.prune_some()["files pruned"] == 2
    assert not BatchJob.objects.exists()
    assert not BatchChunk.objects.exists()


@pytest.mark.parametrize("remove", [erase.erase, User.delete], ids=["erase", "delete"])
def test_user_with_corrected_files_is_removed(iris: ModelVersion, remove: Callable[[User], object]) -> None:
    user = User.objects.create_user("ann")
    job, content = finished(iris)
    correct(job, content)
    BatchJob.objects.filter(pk=job.pk).update(caller=of_user(user).key, owner=user)

    remove(user)

    assert not BatchJob.objects.exists()


def test_keys_of_corrections_to_files_of_others_are_erased(iris: ModelVersion) -> None:
    user = User.objects.create_user("ann")
    job, _ = finished(iris)
    key = IdempotencyKey(caller=of_user(user).key, key=KEY, prediction_id=job.pk, request_hash="")
    with transaction.atomic():
        IdempotencyKey.objects.take([key])

    erase.erase(user)

    assert not IdempotencyKey.objects.exists()
