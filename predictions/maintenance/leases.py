"""Fails, expires and requeues predictions whose lease or deadline has passed."""

from predictions.maintenance.runner import Done
from predictions.models import Prediction
from predictions.queue import completions


def sweep() -> Done:
    """Apply leases and deadlines, and announce the predictions that have ended."""
    lost = Prediction.objects.fail_exhausted()
    expired = Prediction.objects.expire()
    requeued = Prediction.objects.requeue_lost()
    if lost or expired:
        completions.announce([*lost, *expired])
    return {"requeued": len(requeued), "lost": len(lost), "expired": len(expired)}
