"""Fails, expires and requeues predictions, files and their chunks whose lease or deadline has passed."""

from predictions.maintenance.runner import Done
from predictions.models import BatchChunk, BatchJob, Prediction
from predictions.queue import completions


def sweep() -> Done:
    """Apply leases and deadlines, and announce the predictions that have ended."""
    lost = Prediction.objects.fail_exhausted()
    expired = Prediction.objects.expire()
    requeued = Prediction.objects.requeue_lost()
    if lost or expired:
        completions.announce([*lost, *expired])
    return {"requeued": len(requeued), "lost": len(lost), "expired": len(expired)}


def sweep_files() -> Done:
    """The same for files. A job whose last chunk ended while its worker died is finished here."""
    lost = BatchChunk.objects.fail_exhausted()
    return {
        "chunks requeued": len(BatchChunk.objects.requeue_lost()),
        "chunks lost": len(lost),
        "files failed": BatchJob.objects.fail_lost(),
        "files expired": BatchJob.objects.expire(),
        "files finished": BatchJob.objects.finish(),
    }
