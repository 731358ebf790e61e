"""Corrections: repetitions and requests at the same time, and the removal of jobs that have some."""

import csv
import io
import json
import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from predictions.batches import bad_rows as bad_rows_of_chunk
from predictions.batches import corrections, downloads, execution, exports, jobs, opening
from predictions.batches.layout import Layout
from predictions.batches.progress import Corrections, progress, progress_of
from predictions.maintenance import leases, retention
from predictions.models import (
    BatchChunk,
    BatchJob,
    IdempotencyKey,
    JobState,
    ModelVersion,
    RegisteredModel,
    State,
    Tombstone,
)
from predictions.models import batch_files as store
from predictions.serving.schema.errors import ForetellError, KeyReused, NotCorrectable
from predictions.serving.schema.signature import Signature
from predictions.use_cases import erase
from predictions.use_cases.callers import of_user
from tests.support.files import ANN, GOOD, NAMES, bad_rows, correct, execute, results, score, submit, text
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "batch:corrections"
FLOWER = dict(zip(NAMES, map(float, GOOD), strict=True))


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


# --- Rows -------------------------------------------------------------------------------------------------------------
def as_json(*rows: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def no_bad_rows(job: BatchJob) -> bool:
    return b"".join(downloads.bad_rows(job)) == b"" or not bad_rows(job)


@pytest.mark.parametrize("row", [FLOWER, {**FLOWER, NAMES[0]: "5,1"}], ids=["numbers", "text"])
def test_corrections_as_json_complete_a_file_of_text(iris: ModelVersion, row: dict[str, Any]) -> None:
    semicolons = [[cell.replace(".", ",") for cell in GOOD], ["x", *(cell.replace(".", ",") for cell in GOOD[1:])]]
    job = score(iris.registered_model, text(semicolons, delimiter=";"))

    correct(job, as_json({**row, "line": 3}))

    assert (no_bad_rows(job), [one[NAMES[0]] for one in results(job)]) == (True, ["5,1", "5,1"])


def test_corrections_as_text_complete_a_file_of_json(iris: ModelVersion) -> None:
    job = score(iris.registered_model, as_json(FLOWER, {**FLOWER, NAMES[0]: "x", "bed": 7}))

    correct(job, text([[*GOOD, "2"]], [*NAMES, "line"]))

    assert no_bad_rows(job)
    assert [(row["prediction"], row["bed"]) for row in results(job)] == [("setosa", ""), ("setosa", "7")]


@pytest.mark.parametrize("kind", ["xlsx", "parquet", "csv"])
def test_exported_bad_rows_of_json_can_be_sent_back(iris: ModelVersion, kind: str) -> None:
    job = score(iris.registered_model, as_json(FLOWER, {**FLOWER, NAMES[1]: -5}))
    [shown] = jobs.with_versions([job])
    content = b"".join(exports.bad_rows(shown, kind))

    correct(job, content)

    assert BatchChunk.objects.exclude(replaces=None).get().state == State.SUCCEEDED
    assert job.state == JobState.FINISHED


def test_line_of_the_file_itself_names_no_row(iris: ModelVersion) -> None:
    """The file has a column of the name that the file of bad rows adds."""
    job = score(
        iris.registered_model, text([["4", "x", *GOOD[1:]], ["7", *GOOD], ["2", "x", *GOOD[1:]]], ["line", *NAMES])
    )
    corrected = [["4", "5.1", *GOOD[1:], "2", ""], ["2", "7.7", *GOOD[1:], "4", ""]]

    correct(job, text(corrected, ["line", *NAMES, "line", "error"]))

    lines = list(csv.reader(io.StringIO(b"".join(downloads.results(job)).decode())))
    assert [line[:2] for line in lines[1:]] == [["4", "5.1"], ["7", "5.1"], ["2", "7.7"]]


def test_line_of_a_json_file_itself_is_kept(iris: ModelVersion) -> None:
    job = score(iris.registered_model, as_json({**FLOWER, "line": 70}, {**FLOWER, NAMES[0]: "x", "line": 80}))

    correct(job, as_json({**FLOWER, "line": 2, "error": ""}))

    assert (no_bad_rows(job), [row["line"] for row in results(job)]) == (True, ["70", "80"])


def test_columns_of_corrections_may_be_spelled_in_another_way(iris: ModelVersion) -> None:
    job = score(iris.registered_model, text([GOOD, ["x", *GOOD[1:]]], [name.upper() for name in NAMES]))

    correct(job, text([[*GOOD, "3"]], [*NAMES, "line"]))

    assert no_bad_rows(job)


def test_second_correction_keeps_what_the_first_one_changed(kinds: RegisteredModel) -> None:
    names = ["long side", "count", "colour", "ripe", "note"]
    job = score(kinds, text([["x", "y", "r", "yes", "old"]], names))
    correct(job, text([["5", "y", "r", "yes", "=new", "2"]], [*names, "line"]))

    correct(job, text([["5", "3", "r", "yes", "2"]], [*names[:-1], "line"]))

    assert no_bad_rows(job)
    assert results(job)[0]["note"] == "'=new"  # guarded once, as a formula in the first correction is


@pytest.mark.parametrize(
    ("lines", "unused", "named"),
    [
        (["3"], 0, []),
        (["2"], 1, [2]),
        (["3", "2", "99"], 2, [2, 99]),
        (["", "third"], 2, []),
        (["2", "2", "3", "3"], 2, [2]),
    ],
    ids=["bad row", "good row", "some", "no line", "repeated"],
)
def test_corrections_of_no_bad_row_are_counted_and_named(
    iris: ModelVersion, lines: list[str], unused: int, named: list[int]
) -> None:
    job, _ = finished(iris)

    correct(job, text([[*GOOD, line] for line in lines], [*NAMES, "line"]))

    assert progress(job).corrections == Corrections(len(lines), unused, named)
    assert no_bad_rows(job) == ("3" in lines)
    assert job.state == JobState.FINISHED


def test_of_many_unused_corrections_the_first_lines_are_named(iris: ModelVersion) -> None:
    job, _ = finished(iris)

    correct(job, text([[*GOOD, str(line)] for line in range(500, 400, -1)], [*NAMES, "line"]))

    assert progress(job).corrections == Corrections(100, 100, list(range(401, 411)), more_lines=True)


def test_last_of_several_corrections_of_a_row_counts(iris: ModelVersion) -> None:
    job, _ = finished(iris)

    correct(job, text([["7.7", *GOOD[1:], "3"], ["6.6", *GOOD[1:], "3"]], [*NAMES, "line"]))

    assert [row[NAMES[0]] for row in results(job)] == ["5.1", "6.6"]


def test_corrections_without_rows_change_nothing(iris: ModelVersion) -> None:
    job, _ = finished(iris)

    correct(job, text([], [*NAMES, "line"]))

    assert progress(job).corrections == Corrections(0, 0, [])
    assert (job.state, progress(job).bad) == (JobState.FINISHED, 1)


def test_second_corrections_are_told_alone(iris: ModelVersion) -> None:
    job, content = finished(iris)
    correct(job, text([[*GOOD, "99"]], [*NAMES, "line"]))

    correct(job, content)

    assert progress(job).corrections == Corrections(1, 0, [])


def end_by_cancel(job: BatchJob) -> None:
    jobs.cancel(BatchJob.objects.get(pk=job.pk), ANN)


def end_by_time(job: BatchJob) -> None:
    BatchJob.objects.filter(pk=job.pk).update(deadline_at=timezone.now() - timedelta(seconds=1))
    assert BatchJob.objects.expire() == 1


@pytest.mark.parametrize("end", [end_by_cancel, end_by_time])
@pytest.mark.parametrize("chunks", [0, 1], ids=["before they are read", "before they are scored"])
def test_corrections_that_are_ended_leave_the_file_finished(
    iris: ModelVersion, end: Callable[[BatchJob], None], chunks: int
) -> None:
    job, content = finished(iris)
    send(job, content, key=None)
    for _ in range(chunks):
        assert execution.run_next()

    end(job)

    execute(job)
    assert (job.state, job.error_code, job.finished_at is not None) == (JobState.FINISHED, "", True)
    assert (progress(job).good, progress(job).bad) == (1, 1)
    told = progress(job).corrections
    assert told
    assert (told.rows, told.error_code) == (1 if chunks else None, "canceled")
    assert told.error == "They were canceled, or their time was over."

    correct(job, content)
    assert no_bad_rows(job)
    assert progress(job).corrections == Corrections(1, 0, [])


def test_corrections_that_no_worker_survives_are_told(iris: ModelVersion) -> None:
    job, content = finished(iris)
    send(job, content, key=None)
    BatchChunk.objects.filter(job=job, number=BatchChunk.CORRECTIONS).update(
        state=State.RUNNING, attempts=settings.MAX_ATTEMPTS, claimed_until=timezone.now() - timedelta(seconds=1)
    )
    assert BatchChunk.objects.fail_exhausted()
    assert BatchJob.objects.finish() == 1

    told = progress(job).corrections
    assert told
    assert (told.rows, told.error_code) == (None, "worker_lost")
    assert told.error == "They could not be scored. Send them again."
    assert (progress(job).good, progress(job).bad) == (1, 1)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_errors_that_are_left_are_told_as_before(iris: ModelVersion, form: str) -> None:
    bad: list[dict[str, Any]] = [
        {**FLOWER, NAMES[0]: "x"},
        {**FLOWER, NAMES[1]: "y; z: 1"},
        {**FLOWER, NAMES[0]: "=w", NAMES[2]: "w"},
    ]
    rows = as_json(*bad) if form == "jsonl" else text([[str(row[name]) for name in NAMES] for row in bad])
    job = score(iris.registered_model, rows)
    first = 1 if form == "jsonl" else 2
    before = {(group["column"], group["code"]): group for group in progress(job, with_summary=True).errors}

    correct(job, text([[*GOOD, str(first)]], [*NAMES, "line"]))

    left = {(group["column"], group["code"]): group for group in progress(job, with_summary=True).errors}
    assert left.keys() == before.keys()
    for name in NAMES[1:3]:
        assert left[name, "wrong_type"] == before[name, "wrong_type"]
    told = left[NAMES[0], "wrong_type"]
    assert (told["count"], told["line"], told["text"]) == (1, first + 2, "=w")
    assert told["message"] == before[NAMES[0], "wrong_type"]["message"]


def test_errors_that_are_left_belong_to_features_with_any_name() -> None:
    names = ["length: cm", "length; width: wide", "v"]
    signature = Signature.model_validate([{"kind": "number", "name": name} for name in names])
    layout = Layout(format="csv", columns=names, matched=[0, 1, 2])
    said = [f"{name}: wrong_type: Must be a number." for name in names]
    bad = {4: ["x", "y", "z", "4", "; ".join(said)], 5: ["u", "1", "2", "5", said[0]]}

    found = bad_rows_of_chunk.groups(bad, layout, signature)

    assert [(one["column"], one["count"], one["text"]) for one in found] == [
        (names[0], 2, "x"),
        (names[1], 1, "y"),
        (names[2], 1, "z"),
    ]
    assert {one["message"] for one in found} == {"Must be a number."}


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time")
def test_chunks_that_are_stored_during_a_cancel_are_canceled_too(iris: ModelVersion) -> None:
    job, content = finished(iris)
    send(job, content, key=None)
    reader = BatchChunk.objects.filter(number=BatchChunk.CORRECTIONS)
    reader.update(state=State.RUNNING, claim=uuid.uuid4())
    [chunk] = reader
    found, summary = corrections.distribute(chunk)

    def cancel() -> bool:
        try:
            return BatchJob.objects.filter(pk=job.pk).cancel()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            assert BatchChunk.objects.settle_reading(chunk, [], summary=summary)
            canceling = pool.submit(cancel)
            wait_until(is_waiting_for_a_lock, 20, "the cancel waits for the reader")
            BatchChunk.objects.bulk_create(found)
        assert canceling.result(20)

    assert not job.chunks.unfinished().exists()
    correct(job, content)
    assert progress(job).rows == len(results(job)) == 2


def is_waiting_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def test_progress_of_many_files_takes_the_same_queries(iris: ModelVersion) -> None:
    corrected = [finished(iris) for _ in range(3)]
    for job, content in corrected:
        correct(job, content)

    def queries(*asked: BatchJob) -> int:
        with CaptureQueriesContext(connection) as captured:
            progress_of(asked)
        return len(captured)

    jobs_ = [job for job, _ in corrected]
    assert queries(*jobs_) == queries(jobs_[0]) == 4


def test_rate_of_a_corrected_file_is_not_told(iris: ModelVersion) -> None:
    """The time in which a person corrected the rows is no work of Foretell."""
    job, content = finished(iris)
    before = progress(job).rows_per_second

    correct(job, content)

    assert before
    assert progress(job).rows_per_second is None


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
    retention.prune_strays()
    assert not store._storage().exists(job.folder)


def test_files_of_an_unknown_job_are_kept(iris: ModelVersion) -> None:
    """The job may be accepted at this moment, or be in another database than the one that this process was given."""
    job, odd = BatchJob(), BatchJob(pk="not-an-id")
    for one in (job, odd):
        store.save(one, store.INPUT, b"content")

    assert retention.prune_strays() == {"stray files pruned": 0}
    assert [store.read(one, store.INPUT) for one in (job, odd)] == [b"content"] * 2

    Tombstone.objects.put_up([job.pk])
    assert retention.prune_strays() == {"stray files pruned": 1}
    assert not store._storage().exists(job.folder)
    store.remove(odd.folder)


def test_job_that_is_erased_while_it_is_scored_leaves_no_file(
    iris: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = User.objects.create_user("ann")
    job = submit(iris.registered_model, text([GOOD]), caller=of_user(user))
    execution.run_next()
    real = execution.score

    def score_and_erase(*args: Any) -> Any:
        found = real(*args)
        erase.erase(user)
        return found

    monkeypatch.setattr(execution, "score", score_and_erase)
    execution.run_next()

    assert not BatchJob.objects.exists()
    assert not store._storage().exists(job.folder)


def test_job_whose_files_cannot_be_removed_stops_no_other(iris: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs_of_ann = [score(iris.registered_model, text([GOOD])) for _ in range(3)]
    real = store.remove

    def remove(folder: str) -> None:
        if folder == jobs_of_ann[0].folder:
            raise PermissionError(folder)
        real(folder)

    monkeypatch.setattr(store, "remove", remove)

    assert retention.prune_files(timedelta(0), most=2) == 2
    assert BatchJob.objects.get() == jobs_of_ann[0]


def test_job_that_has_lost_a_chunk_is_never_finished(iris: ModelVersion) -> None:
    """Another chunk of the job may end between the two statements of the keeper."""
    job = submit(iris.registered_model, text([GOOD]))
    execution.run_next()
    BatchChunk.objects.claim()
    BatchChunk.objects.running().update(claimed_until=timezone.now() - timedelta(1), attempts=settings.MAX_ATTEMPTS)
    BatchChunk.objects.fail_exhausted()

    BatchJob.objects.filter(pk=job.pk).finish()
    leases.sweep_files()

    job.refresh_from_db()
    assert (job.state, job.error_code) == (JobState.FAILED, "worker_lost")


def test_keys_of_corrections_to_files_of_others_are_erased(iris: ModelVersion) -> None:
    user = User.objects.create_user("ann")
    job, _ = finished(iris)
    key = IdempotencyKey(caller=of_user(user).key, key=KEY, prediction_id=job.pk, request_hash="")
    with transaction.atomic():
        IdempotencyKey.objects.take([key])

    erase.erase(user)

    assert not IdempotencyKey.objects.exists()
