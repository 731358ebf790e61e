"""Statements that PostgreSQL parses and plans once for each connection: SQL's PREPARE and EXECUTE.

Django binds parameters on the client, so PostgreSQL would plan each statement anew, which takes longer than to run it.
Python's driver for SQLite keeps prepared statements by itself.

A plan is made without the parameters, and kept for as long as the statistics of its tables. So what decides about the
plan is part of the text: the states, since indexes have them as conditions, and a limit.
"""

import re
import threading
from collections.abc import Sequence
from itertools import count
from typing import Any

from django.db.backends.utils import CursorWrapper

_of_thread = threading.local()


def execute(cursor: CursorWrapper, name: str, statement: str, params: Sequence[Any]) -> None:
    """`cursor.execute`, for one of a few statements whose text is always the same.

    Args:
        name: begins the name that the server shows for it.
    """
    is_prepared = cursor.db.vendor == "postgresql"
    cursor.execute(_execution(cursor, name, statement) if is_prepared else statement, params)


def _execution(cursor: CursorWrapper, name: str, statement: str) -> str:
    """An EXECUTE with the parameters of the statement, which is prepared in this connection."""
    known = _known(cursor.db.connection)
    if statement not in known:
        number, name = count(1), f"{name}_{len(known)}"
        text = re.sub("%s", lambda _: f"${next(number)}", statement)
        cursor.execute(f"PREPARE {name} AS {text}")
        known[statement] = f"EXECUTE {name}({', '.join(['%s'] * (next(number) - 1))})"
    return known[statement]


def _known(connection: object) -> dict[str, str]:
    """What is prepared in the connection of this thread: nothing, if it is a new one."""
    if getattr(_of_thread, "connection", None) is not connection:
        _of_thread.connection, _of_thread.known = connection, {}
    known: dict[str, str] = _of_thread.known
    return known
