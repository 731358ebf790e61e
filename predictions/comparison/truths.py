"""The true answers that people gave."""

import uuid
from collections.abc import Sequence
from typing import Any

from predictions.models import Feedback, Prediction


def truths_of(rows: Sequence[Prediction]) -> dict[uuid.UUID, Any]:
    """The known true answers by prediction. The latest feedback counts."""
    given = Feedback.objects.filter(prediction__in=[row.pk for row in rows]).order_by("given_at")
    outputs = {row.pk: row.output or {} for row in rows}
    found = {}
    for feedback in given:
        truth = feedback.truth(outputs[feedback.prediction_id])
        if truth is not None:
            found[feedback.prediction_id] = truth
    return found
