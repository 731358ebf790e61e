"""Submit: admit, commit, notify. An accepted row is committed; each step after that may fail and be done again."""

import hashlib
import json
import logging
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain
from typing import Any

from django.conf import settings
from django.db import close_old_connections

from predictions.context import request_id
from predictions.lifecycle import registry
from predictions.models import IdempotencyKey, Lane, ModelVersion, Prediction, Source
from predictions.models.idempotency_key import KeyTaken
from predictions.queue import notifications
from predictions.queue.batcher import Batcher, map_catching
from predictions.queue.redis_client import RATE_SECONDS
from predictions.serving.schema.errors import KeyReused, ModelUnavailable, QueueFull
from predictions.serving.schema.signature import Value
from predictions.use_cases import admission
from predictions.use_cases.callers import Caller
from predictions.use_cases.database import DATABASE_AWAY

logger = logging.getLogger(__name__)

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
    return submissions.submit(submission_of(command))


def submit_row(command: PredictCommand) -> Prediction:
    """`submit` for a thread and a single row."""
    [prediction] = submit(command).result()
    return prediction


def submission_of(command: PredictCommand) -> _Submission:
    """In the request's own context, whose id the rows carry."""
    return _Submission(_predictions(command))


def _predictions(command: PredictCommand) -> list[Prediction]:
    predictions = [
        Prediction(
            id=new_id,
            version=command.version,
            owner=command.caller.user,
            caller=command.caller.key,
            source=command.source,
            lane=Lane.INTERACTIVE,
            values=values,
        )
        for new_id, values in zip(command.ids, command.rows, strict=True)
    ]
    context = copy_context()
    for prediction in predictions:
        prediction.time_allowed = command.time_allowed or settings.PREDICTION_TIME
        prediction.request_id, prediction.request_context = request_id.get(), context
    if command.idempotency_key is not None:
        predictions[0].idempotency = _key(command, command.idempotency_key)
    return predictions


def _key(command: PredictCommand, key: str) -> IdempotencyKey:
    return IdempotencyKey(
        caller=command.caller.key,
        key=key,
        prediction_id=command.ids[0],
        request_hash=_hash(command.version.registered_model.name, command.rows[0]),
    )


def _hash(model_name: str, values: list[Any]) -> str:
    return hashlib.sha256(json.dumps([model_name, values]).encode()).hexdigest()


# --- In the batcher's thread ------------------------------------------------------------------------------------------
def accept(submissions: Sequence[_Submission]) -> list[list[Prediction] | Exception]:
    """One commit and one notification for all that are admitted.

    Raises:
        KeyTaken: the key of one of several submissions is in use. The batcher tries them one by one.
    """
    close_old_connections()
    rate_until = time.monotonic() + RATE_SECONDS
    outcomes = map_catching(lambda one: _admit(one, rate_until), submissions, DATABASE_AWAY)
    admitted = [outcome for outcome in outcomes if isinstance(outcome, list)]
    try:
        if admitted:
            _commit(admitted)
    except KeyTaken:
        if len(submissions) > 1:
            raise
        return [_earlier(admitted[0])]
    return outcomes


def _admit(submission: _Submission, rate_until: float) -> list[Prediction]:
    first, rows = submission.predictions[0], len(submission.predictions)
    if submission.is_admitted:
        return submission.predictions
    if not first.version.is_available:
        raise ModelUnavailable(f"{first.version} does not serve")
    try:
        admission.admit(first.caller, rows, rate_until)
    except QueueFull:
        # An accepted row stays accepted: its key keeps this one out, and gives the earlier prediction.
        if _current_key(first) is None:
            raise
    submission.is_admitted = True
    return submission.predictions


def _commit(admitted: Sequence[Sequence[Prediction]]) -> None:
    """One transaction for all, then one notification for each lane that got rows."""
    predictions = list(chain.from_iterable(admitted))
    Prediction.objects.accept(predictions)
    for lane, context in {prediction.lane: prediction.request_context for prediction in predictions}.items():
        context.run(notifications.notify_in_time, lane)
    ids, requests = [str(row.pk) for row in predictions], [row.request_id for row in predictions]
    logger.info("accepted %d", len(ids), extra={"predictions": ids, "requests": requests})


submissions = Batcher(accept, fatal=DATABASE_AWAY, pause=GATHER_SECONDS)


# --- Idempotency ------------------------------------------------------------------------------------------------------
def _earlier(predictions: Sequence[Prediction]) -> list[Prediction]:
    """The earlier prediction of this caller's key; or these predictions, if the key has become free since.

    Raises:
        KeyReused: the earlier prediction answers another row.
    """
    [prediction] = predictions
    key = _current_key(prediction)
    if key is None or (earlier := Prediction.objects.filter(pk=key.prediction_id).first()) is None:
        # The key has expired, or its prediction was removed, since the insertion failed.
        IdempotencyKey.objects.release([key.prediction_id] if key else [])
        try:
            _commit([predictions])
        except KeyTaken:  # another request has taken the free key first
            return _earlier(predictions)
        return [prediction]
    if prediction.idempotency is None or key.request_hash != prediction.idempotency.request_hash:
        raise KeyReused
    return registry.attach_versions([earlier])


def _current_key(prediction: Prediction) -> IdempotencyKey | None:
    wanted = prediction.idempotency
    return wanted and IdempotencyKey.objects.current(wanted.caller, wanted.key)
