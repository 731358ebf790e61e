"""Deletes predictions whose retention has passed, in small steps: each transaction is short, and can be repeated."""

import logging
import math
import time
from datetime import timedelta

from django.conf import settings
from django.db import OperationalError

from predictions.maintenance.runner import Done
from predictions.models import BatchJob, Prediction, batch_files
from predictions.models.prediction import PredictionQuerySet

# Rows of one transaction, which lasts for some 20 milliseconds.
STEP = 200
# The limits of one run of the job: seconds for predictions, and a number of files.
RUN_SECONDS = 0.2
FILES = 5
# Files that cannot be removed, and that one run passes over.
MOST_FAILED = 100
DRAFTS_KEPT_FOR = timedelta(hours=2)

logger = logging.getLogger(__name__)


def prune_some() -> Done:
    """The job: delete predictions for `RUN_SECONDS`, and `FILES` files at most."""
    if settings.RETENTION is None:
        return {"pruned": 0}
    return {"pruned": prune(settings.RETENTION, RUN_SECONDS), "files pruned": prune_files(settings.RETENTION, FILES)}


def prune_drafts() -> Done:
    """The job: delete files that somebody uploaded for a preview and did not send."""
    return {"drafts pruned": batch_files.remove_old_drafts(DRAFTS_KEPT_FOR)}


def prune_strays() -> Done:
    """The job: delete files that are left of removed jobs."""
    return {"stray files pruned": batch_files.remove_strays()}


def prune_files(kept_for: timedelta, most: int | None = None) -> int:
    """Delete files that ended more than `kept_for` ago, `most` at a time. Returns their number."""
    removed = 0
    for job in BatchJob.objects.ended_before(kept_for)[: None if most is None else most + MOST_FAILED]:
        if removed == most:
            break
        try:
            remove_job(job)
        except OperationalError:  # no other job could be removed either
            raise
        except Exception:  # one job must not stop the removal of all later ones
            logger.exception("the file %s cannot be removed", job.pk)
        else:
            removed += 1
    return removed


def remove_job(job: BatchJob) -> None:
    """Delete an ended job with its files. The files go first: a removal that was cut off is then done again."""
    batch_files.remove(job.folder)
    BatchJob.objects.remove([job.pk])


def prune(kept_for: timedelta, seconds: float = math.inf) -> int:
    """Delete predictions that ended more than `kept_for` ago, for `seconds` at most. Returns the number of rows."""
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
