"""Requests for explanations and what-ifs: durable, computed by a worker, polled like a prediction."""

import hashlib
import json
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from predictions.models.json_field import JSONField
from predictions.models.prediction import Prediction

NOTIFY_AGAIN = timedelta(seconds=3)
MOST_ATTEMPTS = 3


class Kind(models.TextChoices):
    EXPLANATION = "explanation"
    WHAT_IF = "what-if"


class ComputationQuerySet(models.QuerySet["Computation"]):
    def ask(self, prediction: Prediction, kind: Kind, arguments: dict[str, Any]) -> "Computation":
        """The request with these arguments: an earlier one, or else a new one. It fails if its attempts are used up."""
        digest = _digest(arguments)
        found, _ = self.get_or_create(
            prediction=prediction, kind=kind, digest=digest, defaults={"arguments": arguments}
        )
        if found.finished_at is None:
            self._give_up(found.pk)
            found.refresh_from_db()
        return found

    def asked(self, prediction: Prediction, kind: Kind, arguments: dict[str, Any]) -> bool:
        """Whether this was asked before."""
        return self.filter(prediction=prediction, kind=kind, digest=_digest(arguments)).exists()

    def take_turn_to_notify(self, computation_id: int) -> bool:
        """Whether this caller must notify a worker.

        True if no worker has the request, and the last notification of a worker is older than `NOTIFY_AGAIN`.
        """
        waiting = self.filter(_free(), pk=computation_id, finished_at__isnull=True)
        due = waiting.filter(Q(notified_at__isnull=True) | Q(notified_at__lt=Now() - NOTIFY_AGAIN))
        return due.update(notified_at=Now()) == 1

    def claim(self, computation_id: int) -> "Computation | None":
        """Claim the request for this worker, for `settings.LEASE`. Returns it with its prediction.

        None if it is finished, another worker has it, or its attempts are used up.
        """
        free = self.filter(_free(), pk=computation_id, finished_at__isnull=True, attempts__lt=MOST_ATTEMPTS)
        if not free.update(claimed_until=Now() + settings.LEASE, attempts=F("attempts") + 1):
            return None
        return self.select_related("prediction").get(pk=computation_id)

    def _give_up(self, computation_id: int) -> None:
        """Fail a request whose attempts are used up."""
        lost = self.filter(pk=computation_id, finished_at__isnull=True, attempts__gte=MOST_ATTEMPTS)
        lost.filter(_free()).update(error_code="worker_lost", finished_at=Now())


class Computation(models.Model):
    """One request. `result` is JSON of `explanations.compute`; `arguments` may hold the values that are asked about."""

    prediction = models.ForeignKey(Prediction, models.CASCADE, related_name="computations")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    digest = models.CharField(max_length=64)
    arguments = JSONField(default=dict)
    result = JSONField(null=True)
    error_code = models.CharField(max_length=30, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    claimed_until = models.DateTimeField(null=True)
    notified_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)

    objects = ComputationQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["prediction", "kind", "digest"], name="one_of_each_question")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.prediction_id}"

    @property
    def is_terminal(self) -> bool:
        return self.finished_at is not None

    def settle(self, result: dict[str, Any], error_code: str) -> bool:
        """Store the result if this worker's claim still holds. Returns whether it held."""
        mine = Computation.objects.filter(pk=self.pk, attempts=self.attempts, finished_at__isnull=True)
        return mine.update(result=result, error_code=error_code, finished_at=Now(), claimed_until=None) == 1


def _free() -> Q:
    return Q(claimed_until__isnull=True) | Q(claimed_until__lt=Now())


def _digest(arguments: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(arguments, sort_keys=True).encode()).hexdigest()
