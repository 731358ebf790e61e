"""Notifies workers of comparisons that are due, and ends a canary whose challenger does not serve."""

from predictions.lifecycle import challenger
from predictions.maintenance.runner import Done
from predictions.models import Comparison, Lane
from predictions.queue import notifications

INTERVAL_SECONDS = 1.0
ACTOR = "keeper"


def watch() -> Done:
    if Comparison.objects.is_any_due():
        notifications.notify(Lane.BULK)
    return {"canaries stopped": challenger.stop_unavailable(ACTOR)}
