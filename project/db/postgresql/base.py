"""Django's PostgreSQL backend with a time limit on each wait for the server, and a cursor that prepares statements.

The server enforces `statement_timeout`. A frozen server, or a network that drops all packets, enforces nothing: a
request would wait until the connection is closed.

Overrides six methods: `psycopg.Connection.wait`, which is public but has a `timeout` that no setting reaches, and
`get_connection_params`, `get_new_connection`, `init_connection_state`, `set_autocommit` and `is_usable` of Django's
backend, which are not documented.

Upstream: psycopg/psycopg2 issue 1017 describes the failure for psycopg 2 (`statement_timeout` does not help when the
host of the server fails). No issue of psycopg 3 or Django is known.
Remove `Connection` when psycopg has a connection parameter that limits each wait, and `set_autocommit` when Django's
`atomic` does not connect again to reset a lost connection.
"""

import time
from typing import Any, TypeVar

import psycopg
from django.conf import settings
from django.db.backends.postgresql import base
from django.db.backends.postgresql.psycopg_any import IsolationLevel
from psycopg.abc import PQGen

from project.db.postgresql.cursor import Cursor, Kept

RV = TypeVar("RV")

# The time limit of a health check. It leaves time to open a new connection.
HEALTH_SECONDS = 1.0
# A connection that answered a health check is not asked again for this time.
FRESH_SECONDS = 1.0


class Connection(psycopg.Connection[Any]):
    """A connection that is closed when the server does not answer within `wait_seconds`."""

    wait_seconds = float(settings.DATABASE_SECONDS)
    kept: Kept

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        try:
            return super().wait(gen, interval, self.wait_seconds if timeout is None else timeout)
        except psycopg.OperationalError as error:
            if error.sqlstate is None:  # the error does not come from the server
                self.pgconn.finish()
            raise


class DatabaseWrapper(base.DatabaseWrapper):
    _answered_at = -FRESH_SECONDS

    def get_connection_params(self) -> dict[str, Any]:
        return {**super().get_connection_params(), "cursor_factory": Cursor}

    def get_new_connection(self, conn_params: dict[str, Any]) -> Connection:
        self._answered_at = -FRESH_SECONDS
        self.isolation_level = IsolationLevel.READ_COMMITTED
        connection = Connection.connect(**conn_params)
        connection.kept = Kept()
        return connection

    def init_connection_state(self) -> None:
        """Let prepared statements keep their first plan. Otherwise PostgreSQL makes five plans for the parameters, and
        more as long as the table grows: it compares the cost of a kept plan with the average of all earlier ones."""
        super().init_connection_state()
        with self.cursor() as cursor:
            cursor.execute("SET plan_cache_mode = force_generic_plan")

    def set_autocommit(self, autocommit: bool, *args: Any, **kwargs: Any) -> None:
        """Do not open a new connection only to turn autocommit on, as `atomic` would at the end of a transaction whose
        connection was lost: new connections start with autocommit."""
        if not autocommit or self.connection is not None:
            super().set_autocommit(autocommit, *args, **kwargs)

    def is_usable(self) -> bool:
        """True without a query if the connection answered within FRESH_SECONDS and no error has occurred since. Django
        checks before each unit of work, and for a batch of rows the check would be one of only a few round trips."""
        connection = self.connection
        if connection is None:
            return False
        if not self.errors_occurred and time.monotonic() - self._answered_at < FRESH_SECONDS:
            return True
        if is_usable := self._answers(connection):
            self._answered_at = time.monotonic()
        return is_usable

    def _answers(self, connection: Connection) -> bool:
        connection.wait_seconds = HEALTH_SECONDS
        try:
            return super().is_usable()
        finally:
            connection.wait_seconds = Connection.wait_seconds
