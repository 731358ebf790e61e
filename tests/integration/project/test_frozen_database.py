"""A frozen PostgreSQL enforces no time limit: the client does."""

import os
import signal
import time
from collections.abc import Iterator

import pytest
from django.db import OperationalError, connection, transaction

from project.settings import DATABASE_SECONDS

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no server"),
]


@pytest.fixture
def frozen() -> Iterator[None]:
    """The server process of this connection is frozen."""
    connection.close()
    connection.ensure_connection()
    pid = connection.connection.info.backend_pid
    os.kill(pid, signal.SIGSTOP)
    start = time.monotonic()
    yield
    os.kill(pid, signal.SIGCONT)
    assert time.monotonic() - start < DATABASE_SECONDS + 1
    assert answer() == 1


def answer() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return int(cursor.fetchone()[0])


def test_statement_is_given_up(frozen: None) -> None:
    with pytest.raises(OperationalError):
        answer()
    connection.close()


def test_transaction_is_given_up(frozen: None) -> None:
    with pytest.raises(OperationalError), transaction.atomic():
        answer()
    assert connection.connection is None  # no new connection was opened only to end the transaction


def test_pipeline_is_given_up(frozen: None) -> None:
    with pytest.raises(OperationalError), transaction.atomic(), connection.cursor() as cursor:
        cursor.executemany("SELECT %s", [[1], [2]])
    connection.close()


def test_connection_that_answered_a_moment_ago_is_not_asked_again() -> None:
    connection.close()
    connection.ensure_connection()
    assert connection.is_usable()
    pid = connection.connection.info.backend_pid
    os.kill(pid, signal.SIGSTOP)
    try:
        assert connection.is_usable()
        connection.errors_occurred = True
        assert not connection.is_usable()
    finally:
        os.kill(pid, signal.SIGCONT)
        connection.close()


def test_dead_connection_is_replaced_in_time(frozen: None) -> None:
    assert not connection.is_usable()
    connection.close()
    assert answer() == 1
