"""Feedback on answers: whether an answer was right, and the true answer."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import models

from predictions.models.compiled_query import rows_of
from predictions.models.json_field import JSONField
from predictions.models.prediction import Prediction


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

    `actual` is the true class label or number, where it is known.
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

    def truth(self, output: Mapping[str, Any]) -> Any:
        """The true answer by this feedback: `actual`, or the class of the answer if the feedback calls it right.

        None if the feedback does not say it. For several targets: an object of the known ones, by target.
        """
        if self.actual is not None or not self.was_right:
            return self.actual
        parts = output.get("outputs", {})
        labels = {name: part["label"] for name, part in parts.items() if "label" in part}
        return labels or output.get("label")
