"""Deletes predictions whose retention has passed, in small steps: each transaction is short, and can be repeated."""

import math
import time
from datetime import timedelta

from django.conf import settings

from predictions.maintenance.runner import Done
from predictions.models import Prediction
from predictions.models.prediction import PredictionQuerySet

# Rows of one transaction, which lasts for some 20 milliseconds.
STEP = 200
# What one run of the job spends.
RUN_SECONDS = 0.2


def prune_some() -> Done:
    """The job: delete for a moment."""
    return {"pruned": prune(settings.RETENTION, RUN_SECONDS) if settings.RETENTION is not None else 0}


def prune(kept_for: timedelta, seconds: float = math.inf) -> int:
    """Delete what ended more than `kept_for` ago, for `seconds` at most. Returns the number of rows."""
    return remove(Prediction.objects.ended_before(kept_for), seconds)


def remove(ended: PredictionQuerySet, seconds: float) -> int:
    """Delete predictions that have ended, with their feedback; each leaves a tombstone. Returns the number of rows.

    It pauses after each step for as long as the step took: SQLite allows one write at a time, and others wait for it.
    """
    until = time.monotonic() + seconds
    removed = 0
    while time.monotonic() < until and (ids := list(ended.values_list("id", flat=True)[:STEP])):
        began = time.monotonic()
        removed += Prediction.objects.remove(ids)
        time.sleep(time.monotonic() - began)
    return removed
