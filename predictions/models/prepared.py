"""Statements that PostgreSQL keeps for a connection, with their plans: SQL's PREPARE and EXECUTE.

Django binds parameters on the client, so PostgreSQL would parse and plan each statement anew, which takes longer than
to run it. Python's driver for SQLite keeps prepared statements by itself.

A plan that is kept is made without the parameters. So what decides about it is part of the text: the states, since
indexes have them as conditions, and a limit. By itself PostgreSQL keeps a plan until the statistics of its tables
change. A plan for an empty table would read all of one that has grown since, so plans are dropped each second.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

from django.db import NotSupportedError, ProgrammingError
from django.db.backends.utils import CursorWrapper

PLAN_SECONDS = 1.0


@dataclass(slots=True)
class _Kept:
    """What a connection has prepared: an EXECUTE for each statement. Its oldest plan may be from `planned_at`."""

    planned_at: float
    executions: dict[str, str] = field(default_factory=dict)


_of_connection: WeakKeyDictionary[Any, _Kept] = WeakKeyDictionary()
# No name is used twice: a connection may still have a statement of that name.
_numbers = count()


def execute(cursor: CursorWrapper, name: str, statement: str, params: Sequence[Any]) -> None:
    """`cursor.execute`, for one of a few statements whose text is always the same.

    Args:
        name: begins the name that the server shows for it.

    Raises:
        ProgrammingError, NotSupportedError: also where the connection has lost its statements, or a column its type.
            They are prepared again the next time.
    """
    if cursor.db.vendor != "postgresql":
        cursor.execute(statement, params)
        return
    now = time.monotonic()
    kept = _of_connection.setdefault(cursor.db.connection, _Kept(now))
    try:
        if now - kept.planned_at > PLAN_SECONDS:
            cursor.execute("DISCARD PLANS")
            kept.planned_at = now
        if statement not in kept.executions:
            kept.executions[statement] = _prepare(cursor, f"{name}_{next(_numbers)}", statement)
        cursor.execute(kept.executions[statement], params)
    except (ProgrammingError, NotSupportedError):
        kept.executions.clear()
        raise


def _prepare(cursor: CursorWrapper, name: str, statement: str) -> str:
    """The EXECUTE of a statement that is prepared under this name."""
    number = count(1)
    text = re.sub("%[%s]", lambda found: "%" if found[0] == "%%" else f"${next(number)}", statement)
    cursor.execute(f"PREPARE {name} AS {text}")
    return f"EXECUTE {name}({', '.join(['%s'] * (next(number) - 1))})"
