"""Notifies the workers again about rows that none has claimed: a notification may be lost."""

from datetime import timedelta

from predictions.maintenance.runner import Done
from predictions.models import Prediction
from predictions.queue import notifications

# Rows that are queued for longer have been overlooked, or the workers are busy.
OVERLOOKED = timedelta(seconds=2)


def notify_again() -> Done:
    lanes = Prediction.objects.waiting_lanes(OVERLOOKED)
    return {"reminded": sum(notifications.renotify(lane) for lane in lanes)}
