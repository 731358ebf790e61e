"""A batch job: one uploaded file, scored by one version, in chunks."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.db.models.signals import post_delete
from django.dispatch import receiver

from predictions.models.batch_chunk import BatchChunk
from predictions.models.guarded import GuardedQuerySet
from predictions.models.idempotency_key import IdempotencyKey, KeyTaken
from predictions.models.ids import new_prediction_id
from predictions.models.json_field import JSONField
from predictions.models.registered_model import ModelVersion
from predictions.models.states import JOB_TERMINAL, JOB_TRANSITIONS, JobState, Source
from predictions.models.tombstone import Tombstone
from predictions.serving.schema.errors import WorkerLost

# The folder of all jobs in the storage.
FOLDER = "batches"


class BatchJobQuerySet(GuardedQuerySet["BatchJob"]):
    transitions: ClassVar[Mapping[Any, tuple[Any, ...]]] = JOB_TRANSITIONS

    # --- Reads --------------------------------------------------------------------------------------------------------
    def unfinished(self) -> "BatchJobQuerySet":
        return self.filter(state__in=[JobState.QUEUED, JobState.RUNNING])

    def asked_by(self, caller: str) -> "BatchJobQuerySet":
        """The jobs of one caller, newest first."""
        return self.filter(caller=caller).order_by("-created_at", "-id")

    def ended_before(self, age: timedelta) -> "BatchJobQuerySet":
        return self.filter(finished_at__lt=Now() - age).order_by("finished_at")

    # --- Acceptance ---------------------------------------------------------------------------------------------------
    def accept(self, job: "BatchJob", first: BatchChunk, key: IdempotencyKey | None) -> None:
        """Insert a job with the chunk that reads its file, and its idempotency key: all or none.

        Raises:
            KeyTaken: the key is in use. Nothing was kept.
        """
        with transaction.atomic(savepoint=False):
            job.save(force_insert=True)
            first.save(force_insert=True)
            if key is not None:
                IdempotencyKey.objects.take([key])

    def reopen(self, first: BatchChunk, key: IdempotencyKey | None) -> bool:
        """Insert the chunk that reads corrections, and their idempotency key, and let the finished job go on: all or
        none. Returns False, and keeps nothing, if the job is not finished or the key is in use.
        """
        with suppress(KeyTaken), transaction.atomic():
            if self.move(JobState.RUNNING, finished_at=None, deadline_at=Now() + settings.BATCH_TIME):
                first.save(force_insert=True)
                if key is not None:
                    IdempotencyKey.objects.take([key])
                return True
        return False

    # --- Transitions --------------------------------------------------------------------------------------------------
    def start(self) -> bool:
        return bool(self.filter(state=JobState.QUEUED).move(JobState.RUNNING, started_at=Now()))

    def finish(self) -> int:
        """Finish the jobs whose file is read and whose chunks have all ended. Returns how many this call finished.

        A job that has lost a chunk is not finished: `fail_lost` ends it.
        """
        open_chunks = BatchChunk.objects.unfinished().values("job")
        read = BatchChunk.objects.filter(kind=BatchChunk.READ).values("job")
        done = self.filter(state=JobState.RUNNING, pk__in=read).exclude(pk__in=open_chunks)
        done = done.exclude(pk__in=BatchChunk.objects.lost().values("job"))
        return len(done.move(JobState.FINISHED, finished_at=Now()))

    def fail(self, code: str, reason: str = "") -> bool:
        """Fail a job that cannot go on, and cancel its unfinished chunks."""
        return self._end(JobState.FAILED, error_code=code, error=reason)

    def fail_lost(self) -> int:
        """Fail the jobs with a chunk that has lost too many workers, except a correction. Returns how many."""
        lost = BatchChunk.objects.lost().values("job")
        ids = list(self.unfinished().filter(pk__in=lost).values_list("pk", flat=True)[:100])
        return sum(self.filter(pk=pk).fail("worker_lost", WorkerLost.sentence) for pk in ids)

    def cancel(self) -> bool:
        """Cancel a job and its unfinished chunks. The chunks that are done keep their results."""
        return self._end(JobState.CANCELED)

    def expire(self) -> int:
        overdue = list(self.unfinished().filter(deadline_at__lt=Now()).values_list("pk", flat=True)[:100])
        return sum(self.filter(pk=pk)._end(JobState.EXPIRED, error_code="timeout") for pk in overdue)

    def _end(self, state: JobState, **changes: Any) -> bool:
        """End jobs and their unfinished chunks. If these are corrections, the job is finished as it was before them."""
        corrected = Q(pk__in=BatchChunk.objects.filter(number=BatchChunk.CORRECTIONS).values("job"))
        with transaction.atomic():
            ended = self.exclude(corrected).move(state, finished_at=Now(), **changes)
            ended += self.filter(corrected).move(JobState.FINISHED, finished_at=Now())
            chunks = BatchChunk.objects.unfinished().filter(job__in=ended)
            # On PostgreSQL this waits for a reader that is storing chunks, so that the next statement sees them.
            chunks.filter(kind=BatchChunk.READ).cancel()
            chunks.cancel()
        return bool(ended)

    # --- Removal ------------------------------------------------------------------------------------------------------
    def remove(self, ids: Sequence[Any]) -> int:
        """Delete the ended jobs among `ids` with their chunks and keys, and leave a tombstone for each.

        Returns how many were deleted.
        """
        with transaction.atomic(savepoint=False):
            ended = list(self.filter(pk__in=ids, finished_at__isnull=False).values_list("pk", flat=True))
            IdempotencyKey.objects.release(ended)
            BatchChunk.objects.filter(job__in=ended).delete()
            self.filter(pk__in=ended).delete()
        return len(ended)


class BatchJob(models.Model):
    """`layout` is how the file is read (see `batches.layout`); `folder` is where its files lie in the storage."""

    id = models.UUIDField(primary_key=True, default=new_prediction_id, editable=False)
    version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="batch_jobs")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True)
    caller = models.CharField(max_length=80)
    source = models.CharField(max_length=10, choices=Source.choices)
    state = models.CharField(max_length=10, choices=JobState.choices, default=JobState.QUEUED)
    error_code = models.CharField(max_length=30, blank=True)
    error = models.TextField(blank=True)

    filename = models.CharField(max_length=200)
    bytes = models.PositiveBigIntegerField()
    layout = JSONField()

    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField()

    objects = BatchJobQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["caller", "-created_at", "-id"], name="my_files"),
            models.Index(fields=["deadline_at"], condition=Q(finished_at__isnull=True), name="file_deadlines"),
        ]

    def __str__(self) -> str:
        return f"{self.filename} ({self.id})"

    @property
    def is_terminal(self) -> bool:
        return self.state in JOB_TERMINAL

    @property
    def folder(self) -> str:
        return f"{FOLDER}/{self.pk}"


@receiver(post_delete, sender=BatchJob)
def leave_tombstone(instance: BatchJob, **_: Any) -> None:
    """Mark the job as removed, also if it is deleted with its owner."""
    Tombstone.objects.put_up([instance.pk])
