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
from django.db import IntegrityError, InterfaceError, OperationalError
from django.db.models import QuerySet
from django.utils import timezone

from predictions.context import acting_for, request_id
from predictions.lifecycle import registry
from predictions.models import Lane, ModelVersion, Prediction, RegisteredModel, Source
from predictions.queue import notifications
from predictions.queue.group_commit import GroupCommit
from predictions.queue.together import each
from predictions.serving.schema.errors import ModelUnavailable, QueueFull
from predictions.serving.schema.signature import Value
from predictions.use_cases import admission

logger = logging.getLogger(__name__)

DATABASE_AWAY = (OperationalError, InterfaceError)
# A key is remembered for this long.
KEY_LIFE = timedelta(hours=24)


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
        # What was accepted before stays accepted: its key will keep this row out.
        if not _same_key(prediction).exists():
            raise
    return prediction


def _outcome(prediction: Prediction, refusal: Exception | None) -> Prediction | Exception:
    if not isinstance(refusal, IntegrityError):
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
        id=request.id or uuid.uuid4(),
        version=version,
        owner=request.caller.user,
        caller=request.caller.key,
        source=request.source,
        lane=Lane.INTERACTIVE,
        values=values,
        created_at=now,
        deadline_at=now + (request.time_allowed or settings.PREDICTION_TIME),
        idempotency_key=request.idempotency_key,
        request_hash=_hash(request.model.name, values) if request.idempotency_key else "",
    )
    row.request_id = request.request_id or request_id.get()
    return row


def _hash(model_name: str, values: list[Any]) -> str:
    return hashlib.sha256(json.dumps([model_name, values]).encode()).hexdigest()


def _earlier(prediction: Prediction) -> Prediction:
    """The prediction that has this one's key, and so could not be kept beside it; this one, if the key is free again.

    Many may come at once with a key whose life has just ended: one of them frees it, and one, maybe another, gets it.
    """
    same_key = _same_key(prediction)
    forgotten = timezone.now() - KEY_LIFE
    earlier = same_key.first()
    if earlier is None or earlier.created_at < forgotten:
        same_key.filter(created_at__lt=forgotten).update(idempotency_key=None)
        try:
            _door.submit([prediction])
        except IntegrityError:
            earlier = same_key.first()
            if earlier is None:  # it was not the key that could not be kept
                raise
        else:
            return prediction
    return _checked(earlier, prediction)


def _same_key(prediction: Prediction) -> QuerySet[Prediction]:
    if prediction.idempotency_key is None:
        return Prediction.objects.none()
    return Prediction.objects.filter(caller=prediction.caller, idempotency_key=prediction.idempotency_key)


def _checked(earlier: Prediction, prediction: Prediction) -> Prediction:
    if earlier.request_hash != prediction.request_hash:
        raise KeyReused
    return registry.complete([earlier])[0]


def _commit(together: Sequence[Sequence[Prediction]]) -> None:
    """One transaction for all, then one ring for each version that got rows."""
    predictions = list(chain.from_iterable(together))
    Prediction.objects.accept(predictions)
    ringers = {(prediction.version_id, prediction.lane): prediction.request_id for prediction in predictions}
    for (version_id, lane), name in ringers.items():
        with acting_for(name):
            notifications.ring(version_id, lane)
    ids, requests = [str(row.pk) for row in predictions], [row.request_id for row in predictions]
    logger.info("accepted %d", len(ids), extra={"predictions": ids, "requests": requests})


# An item is what is accepted together or not at all.
_door = GroupCommit[Sequence[Prediction]](_commit, fatal=DATABASE_AWAY)
