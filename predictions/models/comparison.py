"""Comparisons: the answers of another version to the values of finished predictions, as a shadow or as a replay.

No caller sees these answers: a separate table has them, which no list, limit or metric of predictions reads.
A comparison needs no queue: it stores its position among the finished predictions.
"""

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from predictions.models import clock
from predictions.models.json_field import JSONField
from predictions.models.prediction import Prediction, PredictionQuerySet
from predictions.models.registered_model import ModelVersion
from predictions.models.states import State

# A prediction becomes visible a moment after its `finished_at`. A shadow reads it when this time has passed.
LAG = timedelta(seconds=10)
# Many predictions in one batch cost less, so a shadow waits for this time too before it reads them.
GATHER = timedelta(seconds=2)
# A shadow skips the predictions that ended longer ago than this.
BACKLOG = timedelta(minutes=10)

# The `finished_at` and the id of a prediction.
Position = tuple[datetime | None, uuid.UUID | None]


class ComparisonQuerySet(models.QuerySet["Comparison"]):
    def open(self) -> Self:
        return self.filter(finished_at__isnull=True)

    def shadow_of(self, version: ModelVersion) -> "Comparison | None":
        """The shadow that runs with this version."""
        return self.open().filter(version=version, kind=Kind.SHADOW).first()

    def claim(self) -> "Comparison | None":
        """Claim the due comparison that was served longest ago. None if none is due."""
        for found in self._due():
            mine = self.open().filter(_free(), pk=found.pk, attempts=found.attempts)
            if mine.update(claimed_until=Now() + settings.LEASE, attempts=F("attempts") + 1, served_at=Now()):
                return self.select_related("version__registered_model").get(pk=found.pk)
        return None

    def is_any_due(self) -> bool:
        """Whether a comparison is due that no worker has claimed."""
        return next(self._due(), None) is not None

    def is_neglected(self, bound: timedelta) -> bool:
        """Whether a comparison has been due for longer than `bound` and no worker has claimed it since."""
        waiting = self.open().filter(_free(), served_at__lt=Now() - bound)
        return any(found.is_due(bound) for found in waiting)

    def _due(self) -> Iterator["Comparison"]:
        free = self.open().filter(_free()).order_by("served_at", "pk")
        return (found for found in free if found.is_due())

    def end(self, error_code: str = "") -> int:
        """End the open ones. Returns how many."""
        return self.open().update(finished_at=Now(), claimed_until=None, error_code=error_code)


class Kind(models.TextChoices):
    SHADOW = "shadow"
    REPLAY = "replay"


class Comparison(models.Model):
    """A run over finished predictions, which `version` answers again in batches.

    A shadow goes forward in time from its start, over `percent` of the predictions. A replay goes back in time from its
    start, over `wanted` predictions. `position_at` and `position_id` are the `finished_at` and the id of the last
    prediction that was read. Answers and position are stored in one transaction, so no answer is lost if a worker dies.
    """

    version = models.ForeignKey(ModelVersion, models.CASCADE, related_name="comparisons")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    percent = models.PositiveSmallIntegerField(default=100)
    wanted = models.PositiveIntegerField(default=0)
    position_at = models.DateTimeField(db_default=Now())
    position_id = models.UUIDField(null=True)
    done = models.PositiveIntegerField(default=0)
    dropped = models.PositiveIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(default=0)
    claimed_until = models.DateTimeField(null=True)
    served_at = models.DateTimeField(db_default=Now())
    error_code = models.CharField(max_length=30, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    objects = ComparisonQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["version", "kind"], condition=Q(finished_at__isnull=True), name="one_open_comparison"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} of version {self.version_id}"

    @property
    def is_terminal(self) -> bool:
        return self.finished_at is not None

    # --- The predictions that it compares -----------------------------------------------------------------------------
    def is_due(self, since: timedelta = timedelta(0)) -> bool:
        """Whether this comparison has needed a worker for at least the time `since`.

        A replay is always due: when no predictions are left, it must be ended. A shadow is due when its oldest unread
        prediction has waited for `LAG` and `GATHER`.
        """
        gathered = self.following().filter(finished_at__lte=Now() - LAG - GATHER - since)
        return self.kind == Kind.REPLAY or gathered.exists()

    def following(self) -> PredictionQuerySet:
        """The next predictions that other versions have answered.

        For a shadow the oldest come first, for a replay the newest.
        """
        others = ModelVersion.objects.filter(registered_model__versions=self.version_id).exclude(pk=self.version_id)
        answered = Prediction.objects.of_people().filter(
            version__in=list(others.values_list("pk", flat=True)), state=State.SUCCEEDED, finished_at__isnull=False
        )
        if self.kind == Kind.SHADOW:
            return self._after(answered).filter(finished_at__lte=Now() - LAG).order_by("finished_at", "id")
        return self._before(answered).order_by("-finished_at", "-id")

    def _after(self, rows: PredictionQuerySet) -> PredictionQuerySet:
        later = Q(finished_at__gt=self.position_at)
        if self.position_id is not None:
            later |= Q(finished_at=self.position_at, id__gt=self.position_id)
        return rows.filter(later, finished_at__gte=self.position_at)

    def _before(self, rows: PredictionQuerySet) -> PredictionQuerySet:
        earlier = Q(finished_at__lt=self.position_at)
        if self.position_id is not None:
            earlier |= Q(finished_at=self.position_at, id__lt=self.position_id)
        return rows.filter(earlier, finished_at__lte=self.position_at)

    def pass_over(self) -> bool:
        """Skip the predictions that ended longer than `BACKLOG` ago, and count them. Returns whether the claim held."""
        until = clock.now() - BACKLOG
        return self.settle([], (until, None), dropped=self.following().filter(finished_at__lte=until).count())

    # --- Transitions --------------------------------------------------------------------------------------------------
    def settle(self, answers: Sequence["ComparedAnswer"], position: Position, *, dropped: int = 0) -> bool:
        """Store answers with the new position if this worker's claim still holds. Returns whether it held."""
        with transaction.atomic():
            mine = Comparison.objects.open().filter(pk=self.pk, attempts=self.attempts)
            if not mine.update(
                position_at=position[0],
                position_id=position[1],
                done=F("done") + len(answers),
                dropped=F("dropped") + dropped,
                attempts=0,
                claimed_until=None,
            ):
                return False
            ComparedAnswer.objects.bulk_create(answers, ignore_conflicts=True)
        return True

    def let_go(self) -> None:
        """Release the claim, since there is nothing to do now."""
        Comparison.objects.filter(pk=self.pk, attempts=self.attempts).update(attempts=0, claimed_until=None)


class ComparedAnswer(models.Model):
    """The answer of `version` to the values of `original`; without an answer, `error_code` says why.

    `before_ms` and `after_ms` are the milliseconds of a predict call on this row alone: by the version of the original,
    and by `version`. The same process makes both calls, one after the other. Only some rows are measured.
    """

    original = models.ForeignKey(Prediction, models.CASCADE, related_name="+")
    version = models.ForeignKey(ModelVersion, models.CASCADE, db_index=False, related_name="+")
    output = JSONField(null=True)
    error_code = models.CharField(max_length=30, blank=True)
    before_ms = models.FloatField(null=True)
    after_ms = models.FloatField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "original"], name="one_answer_per_version")]

    def __str__(self) -> str:
        return f"answer to {self.original_id}"


def _free() -> Q:
    return Q(claimed_until__isnull=True) | Q(claimed_until__lt=Now())
