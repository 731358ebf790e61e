"""Chunks of a batch job. A worker claims and executes one chunk at a time."""

import uuid
from datetime import timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q, Sum
from django.db.models.functions import Now

from predictions.models.guarded import LeasedQuerySet
from predictions.models.ids import new_prediction_id
from predictions.models.json_field import JSONField
from predictions.models.states import JobState, State


class BatchChunkQuerySet(LeasedQuerySet["BatchChunk"]):
    # --- Reads --------------------------------------------------------------------------------------------------------
    def current(self) -> "BatchChunkQuerySet":
        """One chunk for each place in the file: the newest corrected chunk, or else the original one."""
        is_in_place = Q(replaces__isnull=True) | Q(state=State.SUCCEEDED)
        return self.filter(is_in_place, kind=BatchChunk.SCORE, is_replaced=False)

    def lost(self) -> "BatchChunkQuerySet":
        """The chunks that have ended too many workers, so that their job cannot finish. Corrections do not count."""
        failed = self.filter(state=State.FAILED, replaces__isnull=True)
        return failed.filter(Q(kind=BatchChunk.SCORE) | Q(number=BatchChunk.FIRST))

    def done(self) -> "BatchChunkQuerySet":
        """The chunks with results, in the order of the file."""
        return self.current().filter(state=State.SUCCEEDED).order_by("number")

    def original(self, chunk: "BatchChunk") -> "BatchChunk":
        """The original chunk of the file as it was sent, at the place of `chunk`."""
        return self.get(job=chunk.job_id, kind=BatchChunk.SCORE, number=chunk.number, replaces__isnull=True)

    def counts(self) -> "dict[uuid.UUID, dict[str, int]]":
        """For each job: the rows of all current chunks, and the good and the bad rows of the chunks that are done."""
        done = Q(state=State.SUCCEEDED)
        found = (
            self.current()
            .order_by()
            .values("job")
            .annotate(
                all_rows=Sum("rows", default=0),
                good_rows=Sum("good", filter=done, default=0),
                bad_rows=Sum("bad", filter=done, default=0),
            )
        )
        return {
            row["job"]: {"rows": row["all_rows"], "good": row["good_rows"], "bad": row["bad_rows"]} for row in found
        }

    def counts_of(self, job_id: uuid.UUID) -> dict[str, int]:
        return self.filter(job=job_id).counts().get(job_id, {"rows": 0, "good": 0, "bad": 0})

    def is_waiting(self, older_than: timedelta) -> bool:
        return self.claimable().filter(queued_at__lt=Now() - older_than).exists()

    def is_moving(self, bound: timedelta) -> bool:
        """Whether a running chunk has an unexpired lease, or a chunk has started and ended within `bound`."""
        ended = Q(finished_at__gt=Now() - bound, started_at__gt=Now() - bound)
        return self.running().filter(claimed_until__gt=Now()).exists() or self.filter(ended).exists()

    def claimable(self) -> "BatchChunkQuerySet":
        open_jobs = Q(job__state__in=[JobState.QUEUED, JobState.RUNNING], job__deadline_at__gt=Now())
        return self.queued().filter(open_jobs)

    # --- Transitions --------------------------------------------------------------------------------------------------
    def claim(self) -> "BatchChunk | None":
        """Claim one queued chunk. Chunks early in their file come first, so that a small file does not wait for a large
        one.

        None if no chunk is queued, or if another worker claimed the chunk first.
        """
        token = uuid.uuid4()
        with transaction.atomic(savepoint=False):
            waiting = self.claimable().order_by("number", "queued_at")
            pk = waiting.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True).first()
            if pk is None:
                return None
            lease = Now() + settings.LEASE
            won = self.filter(pk=pk).move(
                State.RUNNING, claim=token, claimed_until=lease, started_at=Now(), attempts=F("attempts") + 1
            )
        return self.select_related("job__version__registered_model").get(pk=pk) if won else None

    def settle(self, chunk: "BatchChunk", **result: Any) -> bool:
        """Store the result of a chunk if its claim still holds. Returns whether it held."""
        with transaction.atomic():
            won = self._claimed(chunk).move(State.SUCCEEDED, finished_at=Now(), claimed_until=None, **result)
            if won and chunk.replaces_id:
                self.filter(pk=chunk.replaces_id).update(is_replaced=True)
        return bool(won)

    def note(self, chunk: "BatchChunk", notes: dict[str, Any]) -> None:
        """Store notes in the summary of a running chunk, before a step that may kill the process.

        Notes are progress, so the current attempt then counts as the first one.
        """
        self._claimed(chunk).running().update(summary=notes, attempts=1)

    def drop(self, chunk: "BatchChunk", code: str) -> None:
        """Fail a chunk whose corrections cannot be applied. The rows keep their earlier results."""
        self._claimed(chunk).move(State.FAILED, finished_at=Now(), claimed_until=None, error_code=code)

    def advance(self, chunk: "BatchChunk", found: "list[BatchChunk]", **progress: Any) -> bool:
        """Insert the chunks that a reading chunk has found, and queue it again. False if its claim is lost."""
        with transaction.atomic():
            won = self._claimed(chunk).move(
                State.QUEUED, claim=None, claimed_until=None, attempts=0, queued_at=Now(), **progress
            )
            if won:
                self.bulk_create(found)
        return bool(won)

    def settle_reading(self, chunk: "BatchChunk", found: "list[BatchChunk]", **result: Any) -> bool:
        """Insert the last chunks that a reading chunk has found, and end it. False if its claim is lost."""
        with transaction.atomic():
            won = self.settle(chunk, **result)
            if won:
                self.bulk_create(found)
        return won

    def _claimed(self, chunk: "BatchChunk") -> "BatchChunkQuerySet":
        return self.filter(pk=chunk.pk, claim=chunk.claim)


class BatchChunk(models.Model):
    """A reading chunk divides a file into scoring chunks. A scoring chunk answers the rows of its part of the file.

    `source` is a file in the job's folder. The chunk has `length` bytes of it, from `offset` on; a reading chunk has
    all bytes from there. `line` is the line of the first row in the file as it was sent. `outputs` names the files of
    the results and of the bad rows. `summary` has the counts that the page shows. A correction adds a chunk that
    replaces an earlier one (`replaces`).
    """

    READ, SCORE = "read", "score"
    # The numbers of reading chunks: of the file itself, and of corrections. The lowest numbers are claimed first.
    FIRST, CORRECTIONS = -2, -1

    id = models.UUIDField(primary_key=True, default=new_prediction_id, editable=False)
    job = models.ForeignKey("BatchJob", models.CASCADE, related_name="chunks")
    kind = models.CharField(max_length=5)
    number = models.IntegerField()
    replaces = models.ForeignKey("self", models.CASCADE, null=True, related_name="+")
    is_replaced = models.BooleanField(default=False)

    source = models.CharField(max_length=200)
    offset = models.PositiveBigIntegerField(default=0)
    length = models.PositiveBigIntegerField(default=0)
    line = models.PositiveBigIntegerField(default=1)
    rows = models.PositiveIntegerField(default=0)

    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    error_code = models.CharField(max_length=30, blank=True)
    claim = models.UUIDField(null=True)
    claimed_until = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    queued_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    good = models.PositiveIntegerField(default=0)
    bad = models.PositiveIntegerField(default=0)
    outputs = JSONField(default=dict)
    summary = JSONField(default=dict)

    objects = BatchChunkQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["number", "queued_at"], condition=Q(state="queued"), name="chunk_queue"),
            models.Index(fields=["claimed_until"], condition=Q(state="running"), name="chunk_leases"),
            models.Index(fields=["job", "kind", "number"], name="chunks_of_job"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["job", "number"], condition=Q(kind="score", replaces__isnull=True), name="one_chunk_per_place"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.number} of {self.job_id}"
