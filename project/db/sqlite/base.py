"""Django's SQLite, with a wait for the one write lock that is short where the lock is free soon.

SQLite's own wait sleeps 1, 2, 5, 10, 15, 20, 25 ms: a commit takes half of one, so writers mostly slept, the longer the
more often they had come too late. Here a statement that finds the database locked is tried again after fractions of a
millisecond, for as long as before in all.
"""

import sqlite3
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from django.conf import settings
from django.db.backends.sqlite3 import base

FIRST_PAUSE = 0.0002
LONGEST_PAUSE = 0.005
GROWTH = 1.3


class Cursor(base.SQLiteCursorWrapper):
    def execute(self, query: str, params: Any = None) -> Any:
        return _patiently(partial(super().execute, query, params))

    def executemany(self, query: str, param_list: Any) -> Any:
        return _patiently(partial(super().executemany, query, param_list))


class DatabaseWrapper(base.DatabaseWrapper):
    def create_cursor(self, name: str | None = None) -> Cursor:
        cursor: Cursor = self.connection.cursor(factory=Cursor)
        return cursor


def _patiently(statement: Callable[[], Any]) -> Any:
    """Run it; while another connection writes, again and again."""
    until, pause = 0.0, FIRST_PAUSE
    while True:
        try:
            return statement()
        except sqlite3.OperationalError as error:
            now = time.monotonic()
            until = until or now + settings.DATABASE_SECONDS
            # Only this: a transaction that has seen what is no longer so (BUSY_SNAPSHOT) would be refused again.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or now > until:
                raise
        time.sleep(pause)
        pause = min(pause * GROWTH, LONGEST_PAUSE)
