"""Notifies the workers again about rows that none has claimed: a notification may be lost."""

from datetime import timedelta

from predictions.maintenance import lanes
from predictions.maintenance.runner import Done
from predictions.queue import notifications

# Rows that are queued for longer have been overlooked, or the workers are busy.
OVERLOOKED = timedelta(seconds=2)


def notify_again() -> Done:
    return {"reminded": sum(notifications.renotify(lane) for lane in lanes.waiting(OVERLOOKED))}
