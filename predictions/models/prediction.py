"""Predictions: their table is the queue. Their states change here, in `guarded` and in `prediction_statements` only."""

import uuid
from collections.abc import Sequence
from contextlib import nullcontext
from contextvars import Context, copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Now

from predictions.models import clock, prediction_statements
from predictions.models.claim import Claim, Predicted
from predictions.models.compiled_query import rows_of
from predictions.models.guarded import LeasedQuerySet
from predictions.models.idempotency_key import IdempotencyKey
from predictions.models.ids import new_prediction_id
from predictions.models.json_field import JSONField
from predictions.models.prediction_statements import Status
from predictions.models.registered_model import ModelVersion
from predictions.models.states import TERMINAL, Lane, Source, State
from predictions.models.tombstone import Tombstone
from predictions.models.webhook import Webhook

if TYPE_CHECKING:  # `feedback` imports this module
    from django.contrib.auth.models import User

    from predictions.models.feedback import Feedback

# The database is not asked for its time again within this time: on PostgreSQL it would be one of few round trips.
CLOCK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Settled:
    """How many rows were settled, and the status of each, in order. `statuses` is empty if a row had left its claim."""

    count: int
    statuses: list[Status]


class PredictionQuerySet(LeasedQuerySet["Prediction"]):
    # --- Reads --------------------------------------------------------------------------------------------------------
    def fetch_statuses(self, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Status]:
        """The values of `STATUS_FIELDS` of the predictions that exist, by id, in one read."""
        return {row[0]: row[1:] for row in rows_of(self.model, ("id", *self.model.STATUS_FIELDS), ids)}

    def find_all(self, ids: Sequence[uuid.UUID]) -> "dict[uuid.UUID, Prediction]":
        """The predictions that exist, by id, in one read. Their visibility is not checked."""
        columns = tuple(field.attname for field in self.model._meta.concrete_fields)
        return {row[0]: self.model.from_db(self.db, columns, row) for row in rows_of(self.model, columns, ids)}

    def of_people(self) -> "PredictionQuerySet":
        """All predictions except the canaries, which are our own."""
        return self.exclude(source=Source.CANARY)

    def ahead_of(self, prediction: "Prediction", most: int) -> int:
        """How many rows of its lane are queued before `prediction`, counted up to `most`."""
        before_it = self.queued().filter(lane=prediction.lane, created_at__lt=prediction.created_at)
        return before_it.order_by()[:most].count()

    def count_queued(self) -> int:
        """How many rows are queued, in all lanes together."""
        return prediction_statements.count_queued()

    def asked_by(self, caller: str) -> "PredictionQuerySet":
        """The predictions of one caller, newest first."""
        return self.filter(caller=caller).order_by("-created_at", "-id")

    def ended_before(self, age: timedelta) -> "PredictionQuerySet":
        """Those that ended longer than `age` ago, oldest first."""
        return self.filter(finished_at__lt=Now() - age).order_by("finished_at")

    def waiting_lanes(self, older_than: timedelta) -> list[str]:
        """The lanes that have rows queued for longer than `older_than`, the interactive lane first."""
        late = self.queued().filter(created_at__lt=Now() - older_than)
        return [lane for lane in Lane.values if late.filter(lane=lane).exists()]

    def stalled_lanes(self, bound: timedelta) -> list[str]:
        """The lanes with a claimable row older than `bound`, no row under a live lease, and no claim within `bound`."""
        late = self.queued().filter(created_at__lt=Now() - bound, deadline_at__gt=Now())
        claimed = self.running().filter(claimed_until__gt=Now())
        ended = self.filter(finished_at__gt=Now() - bound, started_at__gt=Now() - bound)
        return [
            lane
            for lane in Lane.values
            if late.filter(lane=lane).exists()
            and not claimed.filter(lane=lane).exists()
            and not ended.filter(lane=lane).exists()
        ]

    # --- Acceptance ---------------------------------------------------------------------------------------------------
    def accept(self, predictions: Sequence["Prediction"]) -> None:
        """Insert new rows with their idempotency keys and webhooks, all or none. Their times are the database's.

        Raises:
            KeyTaken: the key of one of them is in use. Nothing was kept.
            django.db.Error: nothing was kept, also if the database executes the statements later.
        """
        try:
            self._accept_at(clock.recent(ask_after=CLOCK_SECONDS), predictions)
        except prediction_statements.OutdatedTime:
            self._accept_at(clock.now(), predictions)
        for prediction in predictions:
            prediction._state.adding = False

    def _accept_at(self, time: datetime, predictions: Sequence["Prediction"]) -> None:
        # In milliseconds, as SQLite's clock: otherwise a row could seem to be claimed before it was accepted.
        now = time.replace(microsecond=time.microsecond // 1000 * 1000)
        for prediction in predictions:
            prediction.created_at, prediction.deadline_at = now, now + prediction.time_allowed
        keys = [prediction.idempotency for prediction in predictions if prediction.idempotency]
        hooks = [prediction.webhook for prediction in predictions if prediction.webhook]
        # One statement alone is a transaction by itself, which on PostgreSQL takes a third of the time.
        is_one = not keys and not hooks and len(predictions) <= prediction_statements.MOST_INSERTED
        with nullcontext() if is_one else transaction.atomic(savepoint=False):
            prediction_statements.insert(predictions)
            if keys:
                IdempotencyKey.objects.take(keys)
            if hooks:
                Webhook.objects.expect(hooks, now)

    # --- Transitions: each is one guarded update, which returns what it changed ---------------------------------------
    def claim(self, lane: str, limit: int) -> Claim | None:
        """Claim up to `limit` queued rows of a lane, oldest first, of all versions; None if there are none.

        Rows past their deadline are left to the maintenance process. A row that has cost an attempt is claimed alone,
        so that a row that kills workers cannot cost others their attempts.
        """
        token = uuid.uuid4()
        taken = prediction_statements.claim(token, lane, limit, settings.LEASE)
        return Claim(token, [row for row, _ in taken], taken[0][1]) if taken else None

    def settle(self, parts: Sequence[Predicted]) -> Settled:
        """Store each outcome of one or more parts of a claim, where the claim still holds.

        A row that was canceled, expired or claimed by another worker meanwhile is not changed.
        """
        claim = parts[0].claim
        finished_at = claim.now()
        statuses = {
            row.id: (
                State.FAILED if outcome.error else State.SUCCEEDED,
                outcome.output,
                outcome.error.code if outcome.error else "",
                claim.claimed_at,
                finished_at,
                part.predict_ms,
                row.attempts,
            )
            for part in parts
            for row, outcome in zip(part.claim.rows, part.outcomes, strict=True)
        }
        count = prediction_statements.settle(claim.token, statuses, finished_at)
        return Settled(count, list(statuses.values()) if count == len(statuses) else [])

    def expire(self) -> list[uuid.UUID]:
        """End rows whose deadline has passed, a thousand at most. Returns the ids of the rows that this call ended."""
        overdue = self.unfinished().filter(deadline_at__lt=Now())
        return overdue.some().move(State.EXPIRED, finished_at=Now(), claimed_until=None, error_code="timeout")

    def time_out(self, claim: Claim, predict_ms: float) -> list[uuid.UUID]:
        """Fail the rows of a claim whose predict call exceeds its limit. Returns the ids of the rows that failed."""
        changes = {"finished_at": Now(), "claimed_until": None, "error_code": "timeout", "predict_ms": predict_ms}
        return self.filter(claim=claim.token, id__in=[row.id for row in claim.rows]).move(State.FAILED, **changes)

    def release(self, token: uuid.UUID) -> list[uuid.UUID]:
        """Queue the rows of a claim again that have an attempt left. Returns the ids of the queued rows."""
        held = self.filter(claim=token, attempts__lt=settings.MAX_ATTEMPTS)
        return held.move(State.QUEUED, claim=None, claimed_until=None, started_at=None)

    # --- Removal ------------------------------------------------------------------------------------------------------
    def remove(self, ids: Sequence[uuid.UUID]) -> int:
        """Delete the ended predictions among `ids` with all that belongs to them, and leave a tombstone for each.

        Returns how many were deleted.
        """
        with transaction.atomic(savepoint=False):
            ended = list(
                self.filter(id__in=ids, finished_at__isnull=False)
                .order_by("id")
                .select_for_update()
                .values_list("id", flat=True)
            )
            Tombstone.objects.put_up(ended)
            IdempotencyKey.objects.release(ended)
            Webhook.objects.filter(pk__in=ended).delete()
            self.filter(id__in=ended).delete()
        return len(ended)


class Prediction(models.Model):
    """One answer to one row. `values` are in the order of the version's signature."""

    id = models.UUIDField(primary_key=True, default=new_prediction_id, editable=False)
    version = models.ForeignKey(ModelVersion, models.PROTECT, db_index=False, related_name="predictions")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, db_index=False)
    caller = models.CharField(max_length=80, help_text="Who asked: user:…, visitor:…, address:… or embed:….")
    # A keyed hash of the network address of a caller without an account, for the limit on its queued rows.
    address = models.UUIDField(null=True, editable=False)
    source = models.CharField(max_length=10, choices=Source.choices)
    lane = models.CharField(max_length=12, choices=Lane.choices, default=Lane.INTERACTIVE)

    values = JSONField()
    output = JSONField(null=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    error_code = models.CharField(max_length=30, blank=True)

    claim = models.UUIDField(null=True)
    claimed_until = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)

    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField()
    predict_ms = models.FloatField(null=True)
    # The host name of the worker that answered. Nullable: to add a column that is not, SQLite copies the whole table.
    machine = models.CharField(max_length=64, null=True)  # noqa: DJ001

    objects = PredictionQuerySet.as_manager()

    # Set by the code that submits a new row: how long it may take, from its acceptance.
    time_allowed: timedelta = settings.PREDICTION_TIME
    # The id of the request, for the log.
    request_id: str = ""
    # The context in which the workers are notified: it has the id of the request, and its tracing span.
    request_context: Context = copy_context()
    # `accept` inserts these with the row.
    idempotency: IdempotencyKey | None = None
    webhook: Webhook | None = None
    # Set by `lookup.attach_feedback`: the feedback of the caller who reads the row.
    own_feedback: "Feedback | None" = None

    # The fields that may differ between two reads of one row.
    STATUS_FIELDS: ClassVar = ("state", "output", "error_code", "started_at", "finished_at", "predict_ms", "attempts")

    class Meta:
        permissions = [("view_monitor", "Can watch the predictions of everybody")]
        indexes = [
            models.Index(fields=["lane", "created_at"], condition=Q(state="queued"), name="queue"),
            models.Index(fields=["claimed_until"], condition=Q(state="running"), name="leases"),
            models.Index(fields=["deadline_at"], condition=Q(finished_at__isnull=True), name="deadlines"),
            models.Index(fields=["caller", "-created_at", "-id"], name="mine"),
            models.Index(fields=["-finished_at"], condition=Q(finished_at__isnull=False), name="feed"),
            models.Index(
                fields=["version", "-finished_at"], condition=Q(finished_at__isnull=False), name="feed_of_version"
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @classmethod
    def asked(
        cls,
        prediction_id: uuid.UUID,
        version: ModelVersion,
        owner: "User | None",
        caller: str,
        address: uuid.UUID | None,
        source: Source,
        values: list[Any],
    ) -> "Prediction":
        """A new row of the interactive lane. It is made for every request, and Django takes twice the time to set
        fields by name."""
        owner_id = None if owner is None else owner.pk
        given = [prediction_id, version.pk, owner_id, caller, address, source, Lane.INTERACTIVE, values]
        row = cls(*given, *_defaults())  # type: ignore[misc]  # mypy's plugin knows the fields by name only
        row.version = version
        return row

    @property
    def is_terminal(self) -> bool:
        return self.state in TERMINAL

    def refresh_status(self, seen: Status | None = None) -> bool:
        """Update the fields of `STATUS_FIELDS` from `seen`, or else from the database. True if the state is final.

        If the row was removed meanwhile, nothing is changed, and False is returned.
        """
        if seen is None:
            seen = Prediction.objects.fetch_statuses([self.pk]).get(self.pk)
        if seen is None:
            return False
        for name, value in zip(self.STATUS_FIELDS, seen, strict=True):
            setattr(self, name, value)
        return self.is_terminal


@cache
def _defaults() -> list[Any]:
    """The initial values of the fields after `values`, in their order."""
    fields = Prediction._meta.concrete_fields
    return [field.get_default() for field in fields[fields.index(Prediction._meta.get_field("values")) + 1 :]]
