"""Submit: admit, commit, notify. An accepted row is committed. A later step that fails is done again."""

import hashlib
import json
import logging
import time
import uuid
from collections.abc import Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain
from typing import Any

from django.conf import settings
from django.db import close_old_connections

from predictions.context import request_id
from predictions.lifecycle import registry
from predictions.models import IdempotencyKey, ModelVersion, Prediction, Source, Webhook
from predictions.models.database import DATABASE_AWAY
from predictions.models.idempotency_key import KeyTaken
from predictions.queue import notifications
from predictions.queue.batcher import Batcher, map_catching
from predictions.queue.redis_client import RATE_SECONDS
from predictions.serving.schema.errors import KeyReused, ModelUnavailable, QueueFull
from predictions.serving.schema.signature import Value
from predictions.use_cases import admission, lookup
from predictions.use_cases.callers import Caller

logger = logging.getLogger(__name__)

# Commands that arrive within this time are committed together, while several arrive at a time.
GATHER_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class PredictCommand:
    """Rows to predict, accepted all or none.

    Args:
        version: the version that answers, champion or not.
        rows: at least one, each cleaned by the version's signature.
        ids: of the predictions, one for each row.
        idempotency_key: the same key with the same rows gives the same predictions.
        is_pinned: the caller asked for this version, not for the one that serves. The hash of the request includes it.
        webhook_url: receives a message when each prediction ends; only for a caller with a token.
    """

    version: ModelVersion
    rows: Sequence[list[Value]]
    ids: Sequence[uuid.UUID]
    caller: Caller
    source: Source
    idempotency_key: str | None = None
    time_allowed: timedelta | None = None
    is_pinned: bool = False
    webhook_url: str | None = None


@dataclass(slots=True)
class _Submission:
    """A command's predictions on their way into the database. Admission counts each submission once."""

    caller: Caller
    predictions: list[Prediction] = field(default_factory=list)
    is_admitted: bool = False


async def submit(command: PredictCommand) -> list[Prediction]:
    """Accept rows. Returns their predictions when they are committed; the workers are notified in another thread.

    Raises:
        NotFound: the model is gone.
        ModelUnavailable: the model is paused, or the version does not serve.
        KeyReused: the key belongs to another request.
        TooManyRows: more rows than can ever be admitted at one time.
        TooMany, QueueFull: a limit is reached; `retry_after` says when to try again.
        django.db.DatabaseError: nothing was kept.
    """
    return await submissions.ask(submission_of(command))


def submit_in_thread(command: PredictCommand) -> list[Prediction]:
    """`submit` for a thread."""
    return submissions.submit(submission_of(command)).result()


def submit_row(command: PredictCommand) -> Prediction:
    """`submit` for a thread and a single row."""
    [prediction] = submit_in_thread(command)
    return prediction


def submission_of(command: PredictCommand) -> _Submission:
    """The submission of a command. Call it in the context of the request, whose id the rows get."""
    caller = command.caller
    predictions = [
        Prediction.asked(new_id, command.version, caller.user, caller.key, caller.address, command.source, values)
        for new_id, values in zip(command.ids, command.rows, strict=True)
    ]
    context = copy_context()
    for prediction in predictions:
        prediction.time_allowed = command.time_allowed or settings.PREDICTION_TIME
        prediction.request_id, prediction.request_context = request_id.get(), context
        if command.webhook_url is not None:
            prediction.webhook = Webhook(
                prediction_id=prediction.pk, url=command.webhook_url, token=caller.token, caller=caller.key
            )
    if command.idempotency_key is not None:
        request_hash = _hash(command)
        for place, prediction in enumerate(predictions):
            prediction.idempotency = IdempotencyKey(
                caller=caller.key,
                # No key of a caller contains a line break, so the keys of further rows never equal one.
                key=f"{command.idempotency_key}\n{place}" if place else command.idempotency_key,
                prediction_id=prediction.pk,
                request_hash=request_hash,
            )
    return _Submission(caller, predictions)


def _hash(command: PredictCommand) -> str:
    rows: Any = command.rows[0] if len(command.rows) == 1 else command.rows
    pin = [command.version.number] if command.is_pinned else []
    hook = [{"webhook": command.webhook_url}] if command.webhook_url else []
    said = [command.version.registered_model.name, rows, *pin, *hook]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


# --- In the batcher's thread ------------------------------------------------------------------------------------------
def accept(submissions: Sequence[_Submission]) -> list[list[Prediction] | Exception]:
    """Admit submissions, and commit all admitted ones together. Returns the predictions or the error of each.

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
    if not submission.is_admitted:
        first = submission.predictions[0]
        # A repeated request does not count: its rows are accepted already, and no limit may keep its caller from them.
        if not (settings.SUBMIT_RATE and _current_key(first)):
            _check(submission, first, rate_until)
        submission.is_admitted = True
    return submission.predictions


def _check(submission: _Submission, first: Prediction, rate_until: float) -> None:
    """Raises the reason for which new rows are not accepted, unless the key stands for an earlier prediction."""
    try:
        _check_new(submission, first, rate_until)
    except (ModelUnavailable, QueueFull):
        if _current_key(first) is None:
            raise


def _check_new(submission: _Submission, first: Prediction, rate_until: float) -> None:
    lookup.check_not_paused(lookup.find_model(first.version.registered_model.name))
    if not first.version.is_available:
        raise ModelUnavailable(f"{first.version} does not serve")
    admission.admit(submission.caller, len(submission.predictions), rate_until)


def _commit(admitted: Sequence[Sequence[Prediction]]) -> None:
    """One transaction for all, then one notification for each lane that got rows."""
    predictions = list(chain.from_iterable(admitted))
    Prediction.objects.accept(predictions)
    for lane, context in {prediction.lane: prediction.request_context for prediction in predictions}.items():
        context.run(notifications.notify_aside, lane)
    ids, requests = [row.pk for row in predictions], [row.request_id for row in predictions]
    logger.info("accepted %d", len(ids), extra={"predictions": ids, "requests": requests})


submissions = Batcher(accept, fatal=DATABASE_AWAY, pause=GATHER_SECONDS)


# --- Idempotency ------------------------------------------------------------------------------------------------------
def _earlier(predictions: Sequence[Prediction]) -> list[Prediction]:
    """The earlier predictions of this caller's key; or these predictions, if the key has become free since.

    Raises:
        KeyReused: the earlier predictions answer other rows.
    """
    keys = _current_keys(predictions)
    rows = Prediction.objects.in_bulk([key.prediction_id for key in keys])
    wanted = predictions[0].idempotency
    if any(key.prediction_id in rows and wanted and key.request_hash != wanted.request_hash for key in keys):
        raise KeyReused
    if len(rows) == len(predictions):
        return registry.attach_versions(rows[key.prediction_id] for key in keys)
    # The key has expired, or a prediction was removed, since the insertion failed.
    IdempotencyKey.objects.release([key.prediction_id for key in keys])
    try:
        _commit([predictions])
    except KeyTaken:  # another request has taken the free key first
        return _earlier(predictions)
    return list(predictions)


def _current_keys(predictions: Sequence[Prediction]) -> list[IdempotencyKey]:
    """The keys of these rows that are in use, in the order of the rows."""
    wanted = [row.idempotency for row in predictions if row.idempotency]
    found = IdempotencyKey.objects.current_among(wanted[0].caller, [key.key for key in wanted])
    return [found[key.key] for key in wanted if key.key in found]


def _current_key(prediction: Prediction) -> IdempotencyKey | None:
    wanted = prediction.idempotency
    return wanted and IdempotencyKey.objects.current(wanted.caller, wanted.key)
