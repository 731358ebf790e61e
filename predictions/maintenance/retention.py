"""Removal, in small steps: nothing else waits for long, and a step that was cut off is simply done again."""

import math
import time
from datetime import timedelta

from predictions.models import Prediction
from predictions.models.prediction import PredictionQuerySet

# Rows of one transaction, which lasts for some 20 milliseconds.
STEP = 200


def prune(kept_for: timedelta, seconds: float = math.inf) -> int:
    """Remove what ended longer ago than it is kept, for `seconds` at most; how many rows that were."""
    return remove(Prediction.objects.ended_before(kept_for), seconds)


def remove(ended: PredictionQuerySet, seconds: float) -> int:
    """Remove predictions that have ended, with what was said of them; each leaves a tombstone.

    After each step it rests for as long as that took: SQLite lets one write at a time, and others want to as well.
    """
    until = time.monotonic() + seconds
    removed = 0
    while time.monotonic() < until and (ids := list(ended.values_list("id", flat=True)[:STEP])):
        began = time.monotonic()
        removed += Prediction.objects.remove(ids)
        time.sleep(time.monotonic() - began)
    return removed
