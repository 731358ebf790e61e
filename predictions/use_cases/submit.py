"""Submit: admit, commit, notify. An accepted row is committed; each step after that may fail and be done again."""

import hashlib
import json
import logging
import uuid
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain
from typing import Any

from django.conf import settings
from django.db import IntegrityError, close_old_connections
from django.db.models import QuerySet
from django.utils import timezone

from predictions.context import acting_for, request_id
from predictions.lifecycle import registry
from predictions.models import Lane, ModelVersion, Prediction, Source
from predictions.queue import notifications
from predictions.queue.batcher import Batcher, map_catching
from predictions.serving.schema.errors import KeyReused, ModelUnavailable, QueueFull
from predictions.serving.schema.signature import Value
from predictions.use_cases import admission
from predictions.use_cases.callers import Caller
from predictions.use_cases.database import DATABASE_AWAY

logger = logging.getLogger(__name__)

# A key is remembered for this long.
KEY_LIFE = timedelta(hours=24)
# Commands that arrive within this time are committed together, while several arrive at a time.
GATHER_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class PredictCommand:
    """Rows to predict, accepted all or none.

    Args:
        version: the version that answers, champion or not.
        rows: at least one, each cleaned by the version's signature.
        ids: of the predictions, one for each row.
        idempotency_key: only for a single row. The same key with the same row gives the same prediction.
    """

    version: ModelVersion
    rows: Sequence[list[Value]]
    ids: Sequence[uuid.UUID]
    caller: Caller
    source: Source
    idempotency_key: str | None = None
    time_allowed: timedelta | None = None


@dataclass(slots=True)
class _Submission:
    """A command's predictions on their way into the database. Admission counts each submission once."""

    predictions: list[Prediction] = field(default_factory=list)
    is_admitted: bool = False


def submit(command: PredictCommand) -> "Future[list[Prediction]]":
    """Accept rows: the future ends when the predictions are committed and the workers are notified.

    Raises (the future does):
        ModelUnavailable: the version does not serve.
        KeyReused: the key belongs to another row.
        TooMany, QueueFull: not now; both say when.
        django.db.DatabaseError: nothing was kept.
    """
    return _submissions.submit(_Submission(_predictions(command)))


def submit_row(command: PredictCommand) -> Prediction:
    """`submit` for a thread and a single row."""
    [prediction] = submit(command).result()
    return prediction


def _predictions(command: PredictCommand) -> list[Prediction]:
    now = timezone.now()
    deadline = now + (command.time_allowed or settings.PREDICTION_TIME)
    key = command.idempotency_key
    name = command.version.registered_model.name
    predictions = [
        Prediction(
            id=new_id,
            version=command.version,
            owner=command.caller.user,
            caller=command.caller.key,
            source=command.source,
            lane=Lane.INTERACTIVE,
            values=values,
            created_at=now,
            deadline_at=deadline,
            idempotency_key=key,
            request_hash=_hash(name, values) if key else "",
        )
        for new_id, values in zip(command.ids, command.rows, strict=True)
    ]
    for prediction in predictions:
        prediction.request_id = request_id.get()
    return predictions


def _hash(model_name: str, values: list[Any]) -> str:
    return hashlib.sha256(json.dumps([model_name, values]).encode()).hexdigest()


# --- In the batcher's thread ------------------------------------------------------------------------------------------
def _accept(submissions: Sequence[_Submission]) -> list[list[Prediction] | Exception]:
    """One commit and one notification for all that are admitted.

    Raises:
        IntegrityError: of several submissions one could not be kept. The batcher tries them one by one.
    """
    close_old_connections()
    outcomes = map_catching(_admit, submissions, DATABASE_AWAY)
    admitted = [outcome for outcome in outcomes if isinstance(outcome, list)]
    try:
        if admitted:
            _commit(admitted)
    except IntegrityError:
        if len(submissions) > 1:
            raise
        return [_earlier(admitted[0])]
    return outcomes


def _admit(submission: _Submission) -> list[Prediction]:
    first, rows = submission.predictions[0], len(submission.predictions)
    if submission.is_admitted:
        return submission.predictions
    if not first.version.is_available:
        raise ModelUnavailable(f"{first.version} does not serve")
    try:
        admission.admit(first.caller, rows)
    except QueueFull:
        # An accepted row stays accepted: its key keeps this one out, and gives the earlier prediction.
        if not _same_key(first).exists():
            raise
    submission.is_admitted = True
    return submission.predictions


def _commit(admitted: Sequence[Sequence[Prediction]]) -> None:
    """One transaction for all rows, then one notification for each version that got rows."""
    predictions = list(chain.from_iterable(admitted))
    Prediction.objects.accept(predictions)
    waiting = {(prediction.version_id, prediction.lane): prediction.request_id for prediction in predictions}
    for (version_id, lane), id_of_request in waiting.items():
        with acting_for(id_of_request):
            notifications.ring(version_id, lane)
    ids, requests = [str(row.pk) for row in predictions], [row.request_id for row in predictions]
    logger.info("accepted %d", len(ids), extra={"predictions": ids, "requests": requests})


_submissions = Batcher(_accept, fatal=DATABASE_AWAY, pause=GATHER_SECONDS)


# --- Idempotency ------------------------------------------------------------------------------------------------------
def _earlier(predictions: Sequence[Prediction]) -> list[Prediction]:
    """The prediction that has this one's key; this one, if that key is free again.

    Several may come at once with a key whose life has just ended: one of them frees it, and one, maybe another, gets
    it.

    Raises:
        IntegrityError: it was not the key that could not be kept.
    """
    prediction = predictions[0]
    same_key = _same_key(prediction)
    forgotten = timezone.now() - KEY_LIFE
    earlier = same_key.first()
    if earlier is None or earlier.created_at < forgotten:
        same_key.filter(created_at__lt=forgotten).update(idempotency_key=None)
        try:
            _commit([predictions])
        except IntegrityError:
            earlier = same_key.first()
            if earlier is None:
                raise
        else:
            return [prediction]
    if earlier.request_hash != prediction.request_hash:
        raise KeyReused
    return registry.complete([earlier])


def _same_key(prediction: Prediction) -> QuerySet[Prediction]:
    if prediction.idempotency_key is None:
        return Prediction.objects.none()
    return Prediction.objects.filter(caller=prediction.caller, idempotency_key=prediction.idempotency_key)
