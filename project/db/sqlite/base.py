"""Django's SQLite backend with short pauses between two attempts to get the write lock.

SQLite's own busy handler sleeps 1, 2, 5, 10, 15, 20, 25 ms and so on, but a commit takes half a millisecond. With it,
writers slept most of the time. Here a statement that finds the database locked is repeated after fractions of a
millisecond, until the same time limit.

Overrides `create_cursor` of Django's backend and its `SQLiteCursorWrapper`, which are not documented.

Upstream: no issue of Django or CPython is known. ghaering/pysqlite issue 96 and coleifer/pysqlite3 issue 80 ask for
`sqlite3_busy_handler` in Python's driver.
Remove the patch when Python's sqlite3 module can set a busy handler.
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
        return _retry_while_busy(partial(super().execute, query, params))

    def executemany(self, query: str, param_list: Any) -> Any:
        return _retry_while_busy(partial(super().executemany, query, param_list))


class DatabaseWrapper(base.DatabaseWrapper):
    def create_cursor(self, name: str | None = None) -> Cursor:
        cursor: Cursor = self.connection.cursor(factory=Cursor)
        return cursor


def _retry_while_busy(statement: Callable[[], Any]) -> Any:
    """Run a statement, and repeat it while another connection writes."""
    until, pause = 0.0, FIRST_PAUSE
    while True:
        try:
            return statement()
        except sqlite3.OperationalError as error:
            now = time.monotonic()
            until = until or now + settings.DATABASE_SECONDS
            # Only SQLITE_BUSY: a transaction with an outdated snapshot (SQLITE_BUSY_SNAPSHOT) would be refused again.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or now > until:
                raise
        time.sleep(pause)
        pause = min(pause * GROWTH, LONGEST_PAUSE)
