"""Feedback on answers: whether an answer was right, and the true answer."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import models

from predictions.models.compiled_query import rows_of
from predictions.models.json_field import JSONField
from predictions.models.prediction import Prediction


def classes_of(output: Mapping[str, Any]) -> dict[str, str]:
    """The class of each target of an answer. The name of an only target is empty. Numbers are left out."""
    parts = output.get("outputs") or {"": output}
    return {name: part["label"] for name, part in parts.items() if "label" in part}


def by_target(actual: Any) -> dict[str, Any]:
    """The true answers of feedback by target. The name of an only target is empty."""
    if actual is None:
        return {}
    return dict(actual) if isinstance(actual, Mapping) else {"": actual}


def contradicts(was_right: bool | None, actual: Any, output: Mapping[str, Any]) -> bool:
    """True if an answer is called right beside another true class, or wrong beside the classes that it gave."""
    answered, given = classes_of(output), by_target(actual)
    if was_right:
        return any(given[name] != label for name, label in answered.items() if name in given)
    return was_right is False and bool(given) and given == answered


class FeedbackQuerySet(models.QuerySet["Feedback"]):
    def say(self, prediction: Prediction, caller: str, **said: Any) -> tuple["Feedback", bool]:
        """Create or replace a caller's feedback; what `said` leaves out becomes empty. Returns (feedback, created)."""
        whole = {"was_right": None, "actual": None, "comment": "", **said}
        return self.update_or_create(prediction=prediction, caller=caller, defaults=whole)

    def of_predictions(self, ids: Sequence[uuid.UUID]) -> "dict[tuple[uuid.UUID, str], Feedback]":
        """The feedback on these predictions, by prediction id and caller."""
        columns = tuple(field.attname for field in self.model._meta.concrete_fields)
        rows = rows_of(self.model, columns, ids, by="prediction__id")
        found = [self.model.from_db(self.db, columns, row) for row in rows]
        return {(given.prediction_id, given.caller): given for given in found}


class Feedback(models.Model):
    """The feedback of one caller on one prediction. Later feedback replaces it.

    `actual` is the true class label or number, where it is known; for several targets, an object of the known ones.
    """

    prediction = models.ForeignKey(Prediction, models.CASCADE, related_name="feedback")
    caller = models.CharField(max_length=80, db_index=True)
    was_right = models.BooleanField(null=True)
    actual = JSONField(null=True)
    comment = models.TextField(blank=True)
    given_at = models.DateTimeField(auto_now=True)

    objects = FeedbackQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["prediction", "caller"], name="one_feedback_per_caller")]

    def __str__(self) -> str:
        return f"feedback on {self.prediction_id}"
