"""Ask: validate, keep a row, ring. What is accepted here is committed; everything after may fail and be done again."""

import hashlib
import json
import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from predictions.context import acting_for, request_id
from predictions.lifecycle import registry
from predictions.models import IdempotencyKey, Lane, ModelVersion, Prediction, RegisteredModel, Source
from predictions.models.idempotency_key import KeyTaken
from predictions.models.ids import new_prediction_id
from predictions.queue import notifications
from predictions.queue.group_commit import GroupCommit
from predictions.queue.together import each
from predictions.serving.schema.errors import ModelUnavailable, QueueFull
from predictions.serving.schema.signature import Value
from predictions.use_cases import admission

logger = logging.getLogger(__name__)

DATABASE_AWAY = (OperationalError, InterfaceError)


class KeyReused(Exception):
    """An idempotency key came again with another body."""


@dataclass(frozen=True)
class Caller:
    """Who asks. `key` names them in the row: `user:…`, `visitor:…` or `address:…`."""

    key: str
    user: User | None = None


@dataclass(frozen=True)
class Request:
    """One row to predict, as a door hands it in."""

    model: RegisteredModel
    raw: Mapping[str, Any] | Sequence[Any]
    caller: Caller
    source: Source
    idempotency_key: str | None = None
    time_allowed: timedelta | None = None
    id: uuid.UUID | None = None
    # For the log; the current request's if none is given.
    request_id: str = ""


def submit(request: Request) -> Prediction:
    """Accept one row: the prediction is committed and its version's doorbell rung when this returns.

    The same idempotency key with the same row gives the prediction that it gave before.

    Raises:
        InvalidInput: the row does not fit the signature; all its problems at once.
        ModelUnavailable: no version of the model serves.
        KeyReused: the key belongs to another row.
        TooMany, QueueFull: not now; both say when.
        django.db.DatabaseError: nothing was kept.
    """
    [kept] = submit_each([request])
    if isinstance(kept, Exception):
        raise kept
    return kept


def submit_each(requests: Sequence[Request]) -> list[Prediction | Exception]:
    """Likewise for rows that have nothing to do with each other: one commit and one ring for all of them.

    Returns:
        for each request its prediction, or what `submit` would raise.

    Raises:
        django.db.OperationalError, django.db.InterfaceError: the database was away before any row was to be kept.
    """
    admitted = each(_admitted, requests, DATABASE_AWAY)
    refusals = iter(_door.submit_each([[row] for row in admitted if isinstance(row, Prediction)]))
    return [_outcome(row, next(refusals)) if isinstance(row, Prediction) else row for row in admitted]


def _admitted(request: Request) -> Prediction:
    version = registry.champion(request.model)
    if version is None:
        raise ModelUnavailable(f"no version of {request.model.name} serves")
    prediction = _row(request, version, version.signature.clean(request.raw))
    try:
        admission.admit(prediction.caller)
    except QueueFull:
        # A repeated request is answered with its earlier prediction also while the queue is full.
        if _current_key(prediction) is None:
            raise
    return prediction


def _outcome(prediction: Prediction, refusal: Exception | None) -> Prediction | Exception:
    if not isinstance(refusal, KeyTaken):
        return refusal or prediction
    try:
        return _earlier(prediction)
    except Exception as error:  # noqa: BLE001 - likewise
        return error


def submit_together(
    version: ModelVersion, rows: Sequence[Sequence[Value]], caller: Caller, source: Source, ids: Sequence[uuid.UUID]
) -> list[Prediction]:
    """Accept several rows of one version, all or none: one commit, one ring.

    Args:
        version: the very version that answers, champion or not.
        rows: at least one, each cleaned by the version's signature.
        ids: of the predictions, one for each row.

    Raises:
        ModelUnavailable: the version does not serve.
        TooMany, QueueFull: not now; both say when.
        django.db.DatabaseError: nothing was kept.
    """
    if not version.is_available:
        raise ModelUnavailable(f"{version} does not serve")
    model = version.registered_model
    predictions = [
        _row(Request(model, row, caller, source, id=new_id), version, list(row))
        for row, new_id in zip(rows, ids, strict=True)
    ]
    admission.admit(caller.key, len(rows))
    _door.submit(predictions)
    return predictions


def _row(request: Request, version: ModelVersion, values: list[Any]) -> Prediction:
    now = timezone.now()
    row = Prediction(
        id=request.id or new_prediction_id(),
        version=version,
        owner=request.caller.user,
        caller=request.caller.key,
        source=request.source,
        lane=Lane.INTERACTIVE,
        values=values,
        created_at=now,
        deadline_at=now + (request.time_allowed or settings.PREDICTION_TIME),
    )
    if request.idempotency_key is not None:
        row.idempotency = IdempotencyKey(
            caller=row.caller,
            key=request.idempotency_key,
            prediction_id=row.pk,
            request_hash=_hash(request.model.name, values),
        )
    row.request_id = request.request_id or request_id.get()
    return row


def _hash(model_name: str, values: list[Any]) -> str:
    return hashlib.sha256(json.dumps([model_name, values]).encode()).hexdigest()


def _earlier(prediction: Prediction) -> Prediction:
    """The earlier prediction of this caller's key; or this one, if the key has become free since.

    Raises:
        KeyReused: the earlier prediction answers another row.
    """
    key = _current_key(prediction)
    if key is None or (earlier := Prediction.objects.filter(pk=key.prediction_id).first()) is None:
        # The key has expired, or its prediction was removed, since the insertion failed.
        IdempotencyKey.objects.release([key.prediction_id] if key else [])
        try:
            _door.submit([prediction])
        except KeyTaken:  # another request has taken the free key first
            return _earlier(prediction)
        return prediction
    if prediction.idempotency is None or key.request_hash != prediction.idempotency.request_hash:
        raise KeyReused
    return registry.complete([earlier])[0]


def _current_key(prediction: Prediction) -> IdempotencyKey | None:
    wanted = prediction.idempotency
    return wanted and IdempotencyKey.objects.current(wanted.caller, wanted.key)


def _commit(together: Sequence[Sequence[Prediction]]) -> None:
    """One transaction for all, then one notification for each lane that got rows."""
    predictions = list(chain.from_iterable(together))
    Prediction.objects.accept(predictions)
    requests_of_lanes = {prediction.lane: prediction.request_id for prediction in predictions}
    for lane, name in requests_of_lanes.items():
        with acting_for(name):
            notifications.notify(lane)
    ids, requests = [str(row.pk) for row in predictions], [row.request_id for row in predictions]
    logger.info("accepted %d", len(ids), extra={"predictions": ids, "requests": requests})


# An item is what is accepted together or not at all.
_door = GroupCommit[Sequence[Prediction]](_commit, fatal=DATABASE_AWAY)
