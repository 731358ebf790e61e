"""The statements that are run for every prediction: built once, one run for each row with prepared values.

Django takes several times as long to build such a statement as the database takes to run it. One statement for each
row, because a list of ids would be another statement for each length, and an UPDATE of many rows to different values a
page of CASEs.
"""

import json
import socket
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import OuterRef, Subquery
from django.db.models.functions import Now

from predictions.models.compiled_query import CompiledQuery, Param
from predictions.models.registered_model import ModelVersion
from predictions.models.states import State, before

if TYPE_CHECKING:
    from predictions.models.prediction import Prediction

# The values of `Prediction.STATUS_FIELDS`, the state first.
Status = tuple[Any, ...]

# Of this process, as its answers name it.
MACHINE = socket.gethostname()[:64]
# Types of values that need no conversion for any database, except in the fields of `_CONVERTED`.
_PLAIN = (str, int, float)
_CONVERTED = (models.JSONField, models.UUIDField)


def _guard(*targets: State) -> str:
    """The states from which all of `targets` can be reached, as SQL."""
    allowed = set.intersection(*(set(before(target)) for target in targets))
    return ", ".join(f"'{state.value}'" for state in sorted(allowed))


# Only queued rows become running, and only running ones succeed: the table of transitions says so.
_TAKE = f"""
UPDATE predictions_prediction
SET state = '{State.RUNNING.value}', claim = %s, claimed_until = %s, started_at = %s, attempts = attempts + 1
WHERE id = %s AND state IN ({_guard(State.RUNNING)})
"""  # noqa: S608 - states of the table
_SETTLE = f"""
UPDATE predictions_prediction
SET state = %s, output = %s, error_code = %s, finished_at = %s, predict_ms = %s, machine = %s, claimed_until = NULL
WHERE id = %s AND state IN ({_guard(State.SUCCEEDED, State.FAILED)}) AND claim = %s
"""  # noqa: S608


def insert(predictions: "Iterable[Prediction]") -> None:
    database = connections[DEFAULT_DB_ALIAS]
    columns = ", ".join(database.ops.quote_name(str(field.column)) for field in _fields())
    places = ", ".join(["%s"] * len(_fields()))
    common: dict[datetime, Any] = {}
    rows = [_row(prediction, database, common) for prediction in predictions]
    with database.cursor() as cursor:
        cursor.executemany(f"INSERT INTO predictions_prediction ({columns}) VALUES ({places})", rows)  # noqa: S608


def _row(prediction: "Prediction", database: BaseDatabaseWrapper, common: dict[datetime, Any]) -> list[Any]:
    """The values of all columns as the database takes them. `common` keeps the times, which many rows share."""
    said, row = prediction.__dict__, []
    for field in _fields():
        value = said[field.attname]
        if value is None or (type(value) in _PLAIN and not isinstance(field, _CONVERTED)):
            row.append(value)
        elif isinstance(value, datetime):
            if value not in common:
                common[value] = field.get_db_prep_save(value, database)
            row.append(common[value])
        else:
            row.append(field.get_db_prep_save(value, database))
    return row


def take(token: uuid.UUID, ids: Sequence[uuid.UUID], now: datetime, until: datetime) -> None:
    """Let a claim hold queued rows until its lease ends."""
    prepared = [_prepared("claim", token), _prepared("claimed_until", until), _prepared("started_at", now)]
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.executemany(_TAKE, [(*prepared, one) for one in _prepared_ids(ids)])


def settle(token: uuid.UUID, ids: Sequence[uuid.UUID], statuses: Sequence[Status], finished_at: datetime) -> int:
    """Store the status of each row that the claim still holds. How many those were."""
    database = connections[DEFAULT_DB_ALIAS]
    if database.vendor == "postgresql" and any(status[-1] >= settings.MAX_ATTEMPTS for status in statuses):
        # A crash may undo a commit that did not wait for the disk. The row is predicted again, unless this was the last
        # attempt.
        with database.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = on")
    claim, ended = _prepared("claim", token), _prepared("finished_at", finished_at)
    rows = [
        (state, _json(output), error_code, ended, predict_ms, MACHINE, own_id, claim)
        for own_id, (state, output, error_code, _, _, predict_ms, _) in zip(_prepared_ids(ids), statuses, strict=True)
    ]
    with database.cursor() as cursor:
        cursor.executemany(_SETTLE, rows)
        return int(cursor.rowcount)


@cache
def claimable(limit: int) -> CompiledQuery:
    """Of a lane, claimable rows, oldest first: id, version, hash, values, attempts, and the database's time."""
    # Not a join: that would lock the versions too.
    sha256 = Subquery(ModelVersion.objects.filter(pk=OuterRef("version_id")).values("sha256"))
    return CompiledQuery(
        lambda: (
            _model()
            .objects.queued()
            .filter(lane=Param("lane", models.CharField()), deadline_at__gt=Now())
            .order_by("created_at")
            .select_for_update(skip_locked=True)
            .values_list("id", "version_id", sha256, "values", "attempts", Now())[:limit]
        )
    )


# --- Values -----------------------------------------------------------------------------------------------------------
def _model() -> "type[Prediction]":
    """Not imported, since the model's manager runs these statements."""
    return apps.get_model("predictions", "Prediction")


@cache
def _fields() -> tuple["models.Field[Any, Any]", ...]:
    return tuple(_model()._meta.concrete_fields)


def _prepared(name: str, value: object) -> Any:
    field: Any = _model()._meta.get_field(name)
    return field.get_db_prep_value(value, connections[DEFAULT_DB_ALIAS])


def _prepared_ids(ids: Sequence[uuid.UUID]) -> list[Any]:
    field, database = _model()._meta.pk, connections[DEFAULT_DB_ALIAS]
    return [field.get_db_prep_value(one, database) for one in ids]


def _json(output: object) -> str | None:
    return None if output is None else json.dumps(output, allow_nan=False)
