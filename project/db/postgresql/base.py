"""Django's PostgreSQL, with a bound on every wait of ours.

`statement_timeout` is kept by the server; one that is frozen, or behind a network that swallows everything, keeps
nothing, and a request would wait for as long as that lasts.
"""

from typing import Any, TypeVar

import psycopg
from django.conf import settings
from django.db.backends.postgresql import base
from django.db.backends.postgresql.psycopg_any import IsolationLevel
from psycopg.abc import PQGen

RV = TypeVar("RV")

# Whether a connection still lives is known at once, or it is not worth keeping: time is left for a new one.
HEALTH_SECONDS = 1.0


class Connection(psycopg.Connection[Any]):
    """One on which nothing takes longer than `patience`. What did not answer in time is closed."""

    patience = float(settings.DATABASE_SECONDS)

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        try:
            return super().wait(gen, interval, self.patience if timeout is None else timeout)
        except psycopg.OperationalError as error:
            if error.sqlstate is None:  # it is not the server that says so
                self.pgconn.finish()
            raise


class DatabaseWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Connection:
        self.isolation_level = IsolationLevel.READ_COMMITTED
        return Connection.connect(**conn_params)

    def set_autocommit(self, autocommit: bool, *args: Any, **kwargs: Any) -> None:
        """`atomic` sets it back at its end. Where the connection was lost, Django would wait for a new one, only to do
        that; each new one begins so anyway."""
        if not autocommit or self.connection is not None:
            super().set_autocommit(autocommit, *args, **kwargs)

    def is_usable(self) -> bool:
        connection = self.connection
        if connection is None:
            return False
        connection.patience = HEALTH_SECONDS
        try:
            return super().is_usable()
        finally:
            connection.patience = Connection.patience
