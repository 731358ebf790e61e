"""Batch jobs as pages and API use them: accept a file, find a job, cancel, correct."""

import hashlib
import uuid
from typing import IO

from django.conf import settings
from django.core.files.base import File

from predictions.batches import opening
from predictions.batches.layout import Layout, Wishes
from predictions.batches.limits import limit_text
from predictions.lifecycle import registry
from predictions.models import (
    BatchChunk,
    BatchJob,
    IdempotencyKey,
    JobState,
    Lane,
    ModelVersion,
    Source,
    Tombstone,
    clock,
)
from predictions.models import batch_files as store
from predictions.models.batch_job import BatchJobQuerySet
from predictions.models.idempotency_key import KeyTaken
from predictions.queue import notifications
from predictions.serving.schema.errors import (
    CannotCancel,
    InvalidInput,
    KeyReused,
    ModelUnavailable,
    NotCorrectable,
    NotFound,
    Problem,
    Removed,
    TooManyFiles,
)
from predictions.serving.schema.request_errors import FileTooLarge
from predictions.serving.schema.sentences import english
from predictions.use_cases.callers import Caller, check_may_change, may_see

# A file is accepted only if this many times its size is free on the disk, so that room is left for others.
ROOM = 4
_HASH_BYTES = 1024 * 1024


def submit(
    version: ModelVersion,
    caller: Caller,
    source: Source,
    file: IO[bytes],
    filename: str,
    wishes: Wishes = Wishes(),  # noqa: B008 - frozen
    key: str | None = None,
    is_pinned: bool = False,
) -> BatchJob:
    """Accept a file to be scored. The same key with the same file gives the same job.

    `is_pinned`: the caller named this version. A key is then valid for the same version only.

    Raises:
        ModelUnavailable, TooManyFiles, FileTooLarge, UnsupportedMediaType: the file is not accepted.
        InvalidInput: its columns do not fit; it lists all problems at once.
        KeyReused: the key belongs to another file.
    """
    if not version.is_available:
        raise ModelUnavailable(f"{version} does not serve")
    name = version.registered_model.name
    content = _content_hash(f"{name} {version.number}" if is_pinned else name, file) if key else ""
    if key and (earlier := _earlier(caller, key, content)):
        return earlier
    size = _check_size(file)
    layout = opening.find_layout(file, version.signature, wishes)
    check_number_of_jobs(caller)
    now = clock.now()
    job = BatchJob(
        version=version, owner=caller.user, caller=caller.key, source=source, filename=filename[-200:] or "file",
        bytes=size, layout=layout.model_dump(), created_at=now, deadline_at=now + settings.BATCH_TIME,
    )  # fmt: skip
    return _accept(job, file, caller, key, content)


def _accept(job: BatchJob, file: IO[bytes], caller: Caller, key: str | None, content: str) -> BatchJob:
    taken = key and IdempotencyKey(caller=caller.key, key=key, prediction_id=job.pk, request_hash=content)
    line = Layout.model_validate(job.layout).line
    file.seek(0)
    store.save_file(job, store.INPUT, File(file))
    first = BatchChunk(job=job, kind=BatchChunk.READ, number=BatchChunk.FIRST, source=store.INPUT, line=line)
    try:
        BatchJob.objects.accept(job, first, taken or None)
    except BaseException as error:
        store.remove(job.folder)
        if isinstance(error, KeyTaken) and key and (earlier := _earlier(caller, key, content)):
            return earlier
        raise
    notifications.notify(Lane.BULK)
    return job


def _check_size(file: IO[bytes]) -> int:
    size = file.seek(0, 2)
    if size > settings.BATCH_BYTES:
        raise FileTooLarge(limit_text())
    check_room(size)
    return size


def check_room(size: int) -> None:
    """Raises FileTooLarge if the disk has no room for a file of this size and its results."""
    free = store.free_bytes()
    if free is not None and free < size * ROOM:
        raise FileTooLarge(english("There is not enough room on the server's disk for this file and its results."))


def check_number_of_jobs(caller: Caller) -> None:
    """Raises TooManyFiles if the caller has as many unfinished jobs as allowed."""
    if BatchJob.objects.unfinished().filter(caller=caller.key).count() >= settings.BATCH_JOBS_PER_CALLER:
        raise TooManyFiles


def _content_hash(purpose: str, file: IO[bytes]) -> str:
    digest = hashlib.sha256(f"{purpose}\0".encode())
    file.seek(0)
    while piece := file.read(_HASH_BYTES):
        digest.update(piece)
    return digest.hexdigest()


def _earlier(caller: Caller, key: str, content: str) -> BatchJob | None:
    """The job that was made with this key, if there is one. Raises KeyReused if it was made from other content."""
    known = IdempotencyKey.objects.current(caller.key, key)
    if known is None:
        return None
    if known.request_hash != content:
        raise KeyReused
    return BatchJob.objects.filter(pk=known.prediction_id).first()


# --- Finding ----------------------------------------------------------------------------------------------------------
def find_job(job_id: uuid.UUID, caller: Caller) -> BatchJob:
    """A job that the caller may see, with its version.

    Raises:
        NotFound: there is none, or the caller may not see it.
        Removed: its data was removed.
    """
    job = BatchJob.objects.filter(pk=job_id).first()
    if job is None or not may_see(caller, job):
        raise (
            Removed
            if Tombstone.objects.stands_for(job_id)
            else NotFound(english("There is no such file, or it is not yours."))
        )
    return with_versions([job])[0]


def with_versions(jobs: list[BatchJob]) -> list[BatchJob]:
    for job in jobs:
        job.version = registry.version(job.version_id)
    return jobs


def history_of(caller: Caller) -> BatchJobQuerySet:
    """The caller's jobs, newest first."""
    return BatchJob.objects.asked_by(caller.key) if caller.has_history else BatchJob.objects.none()


# --- Changing ---------------------------------------------------------------------------------------------------------
def cancel(job: BatchJob, caller: Caller) -> None:
    """End the job; the chunks that are done keep their results.

    Raises:
        Forbidden, CannotCancel: the caller may not, or the job has ended.
    """
    check_may_change(caller, job)
    if not BatchJob.objects.filter(pk=job.pk).cancel():
        raise CannotCancel(english("The file has already ended; there is nothing to cancel."))
    job.refresh_from_db()


def check_correctable(job: BatchJob, caller: Caller) -> None:
    """Raises Forbidden, NotCorrectable."""
    check_may_change(caller, job)
    if job.state != JobState.FINISHED or not BatchChunk.objects.counts_of(job.pk)["bad"]:
        raise NotCorrectable


def correct(job: BatchJob, caller: Caller, file: IO[bytes], key: str | None = None) -> BatchJob:
    """Accept corrected bad rows: a file with the columns of the file of bad rows. `line` names the row to correct.

    The same key with the same corrections of the same job accepts them once.

    Raises:
        Forbidden, NotCorrectable: the caller may not, or the job has no bad rows or is not finished.
        InvalidInput, FileTooLarge, UnsupportedMediaType: the file is not accepted.
        KeyReused: the key belongs to another file.
    """
    content = _content_hash(f"corrections of {job.pk}", file) if key else ""
    if key and (earlier := _earlier(caller, key, content)):
        return earlier
    check_correctable(job, caller)
    _check_size(file)
    layout = opening.find_layout_of_corrections(file, Layout.model_validate(job.layout), job.version.signature)
    if "line" not in layout.columns:
        message = english("The corrections need the column “line” of the file of bad rows: it says which row is meant.")
        raise InvalidInput([Problem(None, "missing_column", message, "/file")])
    file.seek(0)
    source = store.save_file(job, f"corrections-{uuid.uuid4()}", File(file))
    summary = {"layout": layout.model_dump()}
    chunk = BatchChunk(
        job=job, kind=BatchChunk.READ, number=BatchChunk.CORRECTIONS, source=source, line=layout.line, summary=summary
    )
    taken = IdempotencyKey(caller=caller.key, key=key, prediction_id=job.pk, request_hash=content) if key else None
    if not BatchJob.objects.filter(pk=job.pk).reopen(chunk, taken):
        store.remove_file(job, source)
        # A repetition of this request, at the same time, may have been accepted first.
        if key and (earlier := _earlier(caller, key, content)):
            return earlier
        raise NotCorrectable
    notifications.notify(Lane.BULK)
    job.refresh_from_db()
    return job
