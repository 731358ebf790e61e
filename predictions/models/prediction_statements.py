"""The SQL statements that run for every prediction: the count of the queue, acceptance, claim and settle. Each of the
last three handles many rows in one statement.

Django takes several times as long to build such a statement as the database takes to run it, so their text is fixed.
"""

import socket
import uuid
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import orjson
from django.apps import apps
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections, transaction

from predictions.models import clock
from predictions.models.claim import ClaimedRow
from predictions.models.kept_statement import KeptStatement
from predictions.models.recordset import Recordset
from predictions.models.states import State, before

if TYPE_CHECKING:
    from predictions.models.prediction import Prediction

# The values of `Prediction.STATUS_FIELDS`, the state first.
Status = tuple[Any, ...]

# The host name of this process, which is stored with its answers.
MACHINE = socket.gethostname()[:64]


def _guard(*targets: State, column: str = "predictions_prediction.state") -> str:
    """An SQL condition: the row is in a state from which all of `targets` can be reached."""
    allowed = set.intersection(*(set(before(target)) for target in targets))
    named = [f"{column} = '{state.value}'" for state in sorted(allowed)]
    # Not an IN list: to SQLite, a list does not imply the condition of a partial index.
    return f"({' OR '.join(named)})" if len(named) > 1 else named[0]


# Only queued rows become running, and only running ones succeed: the table of transitions says so.
# A row that has cost an attempt is claimed alone. `started_at` must not be before `created_at`: PostgreSQL takes the
# time of a statement before it reads the rows, so it may read a row that was created after that time.
_CLAIM = f"""
WITH candidates AS (
    SELECT id, attempts, created_at FROM predictions_prediction
    WHERE lane = %s AND {_guard(State.RUNNING)} AND deadline_at > {{now}}
    ORDER BY created_at LIMIT {{limit}} {{locked}}
), in_line AS (
    SELECT id, ROW_NUMBER() OVER line AS place, MAX(attempts) OVER line AS attempts,
        MAX(created_at) OVER () AS youngest
    FROM candidates WINDOW line AS (ORDER BY created_at, id)
)
UPDATE predictions_prediction
SET state = '{State.RUNNING.value}', claim = %s, claimed_until = {{until}},
    started_at = {{latest}}({{now}}, in_line.youngest),
    attempts = predictions_prediction.attempts + 1
FROM in_line
WHERE predictions_prediction.id = in_line.id AND (in_line.place = 1 OR in_line.attempts = 0)
RETURNING predictions_prediction.id, version_id,
    (SELECT sha256 FROM predictions_modelversion WHERE predictions_modelversion.id = version_id),
    "values", predictions_prediction.attempts, started_at, created_at
"""  # noqa: S608 - states of the table
_COUNT = f"SELECT COUNT(*) FROM predictions_prediction WHERE state = '{State.QUEUED.value}'"  # noqa: S608
# Each row is found by its primary key. The state is compared as an expression, so that PostgreSQL takes no index whose
# condition is a state: that of running rows has an entry for each row that was claimed since the last VACUUM. With the
# condition on `given.state`, PostgreSQL expects one given row. Otherwise it expects 100, and each settle reads a whole
# table of some thousand rows.
_ENDS = (State.SUCCEEDED, State.FAILED)
_SETTLE = f"""
UPDATE predictions_prediction
SET state = given.state, output = given.output, error_code = given.error_code,
    predict_ms = given.predict_ms, finished_at = %s, machine = %s, claimed_until = NULL
FROM {{rows}}
WHERE predictions_prediction.id = given.id AND given.state IN ({", ".join(f"'{end.value}'" for end in _ENDS)})
    AND {_guard(*_ENDS, column="predictions_prediction.state || ''")} AND claim = %s
"""  # noqa: S608
# The fields of a row that a settle stores.
_SETTLED = ("id", "state", "output", "error_code", "predict_ms")
# The most rows of one INSERT. Their document has a few hundred kilobytes.
MOST_INSERTED = 1000


class OutdatedTime(OperationalError):
    """The `created_at` of new rows is not the database's present time."""


def count_queued() -> int:
    """How many rows are queued, in all lanes together."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(_COUNT)
        return int(cursor.fetchone()[0])


def insert(predictions: "Sequence[Prediction]") -> None:
    """Insert new rows, all of which have the same `created_at`.

    Raises:
        OutdatedTime: the database's time is not within `DATABASE_SECONDS` of `created_at`, and no row of a lot was
            inserted. Causes: a machine was suspended, a clock was set, or the database was frozen and executes the
            statement after its caller has been refused.
    """
    database = connections[DEFAULT_DB_ALIAS]
    given, statement = _recordset(*_entered()), _insert_statement(database.vendor)
    tolerance = timedelta(seconds=settings.DATABASE_SECONDS)
    with database.cursor() as cursor:
        for start in range(0, len(predictions), MOST_INSERTED):
            lot = predictions[start : start + MOST_INSERTED]
            bounds = [_prepared("created_at", lot[0].created_at + by) for by in (-tolerance, tolerance)]
            cursor.execute(statement, [given.document((one.__dict__ for one in lot), database), *bounds])
            if cursor.rowcount < len(lot):
                raise OutdatedTime("the database's time is not that of the new rows")


@cache
def _insert_statement(vendor: str) -> KeptStatement:
    database, given = connections[DEFAULT_DB_ALIAS], _recordset(*_entered())
    fields = (field for field in _model()._meta.concrete_fields if field.attname in _entered())
    columns = ", ".join(database.ops.quote_name(str(field.column)) for field in fields)
    return KeptStatement(
        "accept",
        f"INSERT INTO predictions_prediction ({columns}) SELECT {columns} FROM {given.relation(database)}"  # noqa: S608
        f" WHERE {clock.STORED_NOW[vendor]} BETWEEN %s AND %s",
    )


def claim(token: uuid.UUID, lane: str, limit: int, lease: timedelta) -> list[tuple[ClaimedRow, datetime]]:
    """Claim queued rows of a lane. Returns them, oldest first, each with the time of the claim."""
    database = connections[DEFAULT_DB_ALIAS]
    statement = _claim_statement(database.vendor, limit)
    with database.cursor() as cursor:
        cursor.execute(statement, [lane, _prepared("claim", token), clock.interval(lease)])
        found = sorted(cursor.fetchall(), key=itemgetter(-1, 0))
    return [
        (ClaimedRow(uuid.UUID(str(own_id)), version, sha256, orjson.loads(values), attempts), clock.read(now))
        for own_id, version, sha256, values, attempts, now, _ in found
    ]


@cache
def _claim_statement(vendor: str, limit: int) -> KeptStatement:
    locked = {"postgresql": "FOR UPDATE SKIP LOCKED"}.get(vendor, "")  # on SQLite, one connection writes at a time
    latest = {"postgresql": "GREATEST"}.get(vendor, "MAX")
    now, until = clock.STORED_NOW[vendor], clock.STORED_LATER[vendor]
    return KeptStatement("claim", _CLAIM.format(now=now, until=until, limit=limit, latest=latest, locked=locked))


def settle(token: uuid.UUID, statuses: Mapping[uuid.UUID, Status], finished_at: datetime) -> int:
    """Store the status of each row that the claim still holds. Returns how many these were."""
    database, given = connections[DEFAULT_DB_ALIAS], _recordset(*_SETTLED)
    rows = (
        {"id": own_id, "state": state, "output": output, "error_code": error_code, "predict_ms": predict_ms}
        for own_id, (state, output, error_code, _, _, predict_ms, _) in statuses.items()
    )
    # A crash may undo a commit that did not wait for the disk. The row is then predicted again, except after its last
    # attempt. So the commit of a last attempt waits.
    waits = database.vendor == "postgresql" and any(one[-1] >= settings.MAX_ATTEMPTS for one in statuses.values())
    # One statement is a transaction by itself. On PostgreSQL that takes one round trip instead of three.
    with transaction.atomic(savepoint=False) if waits else nullcontext(), database.cursor() as cursor:
        if waits:
            cursor.execute("SET LOCAL synchronous_commit = on")
        ended, claim = _prepared("finished_at", finished_at), _prepared("claim", token)
        cursor.execute(_settle_statement(database.vendor), [ended, MACHINE, given.document(rows, database), claim])
        return int(cursor.rowcount)


@cache
def _settle_statement(vendor: str) -> KeptStatement:
    relation = _recordset(*_SETTLED).relation(connections[DEFAULT_DB_ALIAS])
    return KeptStatement("settle", _SETTLE.format(rows=relation))


# --- Values -----------------------------------------------------------------------------------------------------------
def _model() -> "type[Prediction]":
    """The model. It is not imported: its module imports this one."""
    return apps.get_model("predictions", "Prediction")


@cache
def _entered() -> tuple[str, ...]:
    """The fields that a new row has. The others are null at first."""
    fields = _model()._meta.concrete_fields
    return tuple(f.attname for f in fields if not f.null or f.attname in ("owner_id", "address"))


@cache
def _recordset(*names: str) -> Recordset:
    fields = {field.attname: field for field in _model()._meta.concrete_fields}
    return Recordset([fields[name] for name in names])


def _prepared(name: str, value: object) -> Any:
    field: Any = _model()._meta.get_field(name)
    return field.get_db_prep_value(value, connections[DEFAULT_DB_ALIAS])
