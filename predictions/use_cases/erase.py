"""Erase: remove one prediction, or all data of a user, for good."""

import uuid
from collections.abc import Iterator, Sequence

from django.contrib.auth.models import User

from predictions.maintenance import retention
from predictions.models import ApiToken, BatchJob, Embedding, Feedback, IdempotencyKey, Prediction
from predictions.models.prediction import PredictionQuerySet
from predictions.queue import completions
from predictions.serving.schema.errors import Forbidden
from predictions.use_cases.callers import Caller, key_of, owns

# The most predictions that one statement cancels.
LOT = 500
# One request removes rows for at most this long; the next request removes more.
REMOVAL_SECONDS = 8.0


def erase(user: User) -> bool:
    """Cancel the user's unfinished predictions, then remove all predictions, files, feedback, tokens and
    embeddings.

    Returns False if some predictions are left.
    """
    key = key_of(user)
    own = Prediction.objects.filter(caller=key)
    ApiToken.objects.of(user).delete()
    Embedding.objects.of(user).delete()
    Feedback.objects.filter(caller=key).delete()
    _cancel(own.unfinished())
    _remove_files(key)
    IdempotencyKey.objects.filter(caller=key).delete()  # also those of corrections to files of others
    retention.remove(own.filter(finished_at__isnull=False), REMOVAL_SECONDS)
    return not own.exists()


def _remove_files(caller: str) -> None:
    """Cancel the files that are being scored, and remove all with their results."""
    own = BatchJob.objects.filter(caller=caller)
    own.unfinished().cancel()
    for job in own.filter(finished_at__isnull=False):
        retention.remove_job(job)


def remove(prediction: Prediction, caller: Caller) -> None:
    """Cancel the prediction if it has not ended, and remove it with its feedback and its idempotency key.

    Raises:
        Forbidden: the caller may see it, and it is not the caller's.
    """
    if not owns(caller, prediction):
        raise Forbidden
    _cancel(Prediction.objects.filter(pk=prediction.pk).unfinished())
    Prediction.objects.remove([prediction.pk])


def _cancel(rows: PredictionQuerySet) -> None:
    for lot in _lots(list(rows.values_list("pk", flat=True))):
        completions.announce_in_time(Prediction.objects.filter(pk__in=lot).cancel())


def _lots(ids: Sequence[uuid.UUID]) -> Iterator[Sequence[uuid.UUID]]:
    return (ids[start : start + LOT] for start in range(0, len(ids), LOT))
