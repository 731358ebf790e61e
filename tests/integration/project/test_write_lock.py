"""SQLite has one write lock: a statement waits for it, with a time limit."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from predictions.models import Heartbeat

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL locks rows, not the file"),
]


@contextmanager
def taken(seconds: float | None) -> Iterator[None]:
    """Another connection writes for `seconds`, or until the end of the block."""
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(seconds or 0, other.execute, ["ROLLBACK"])
    if seconds is not None:
        timer.start()
    try:
        yield
    finally:
        if seconds is None:
            other.execute("ROLLBACK")
        else:
            timer.join()
        other.close()


def test_statement_waits_for_the_lock() -> None:
    with taken(0.3):
        Heartbeat.objects.beat("alone")

    assert Heartbeat.objects.filter(name="alone").exists()


def test_transaction_waits_for_the_lock() -> None:
    with taken(0.3), transaction.atomic():
        Heartbeat.objects.beat("together")

    assert Heartbeat.objects.filter(name="together").exists()


def test_statement_fails_when_the_lock_is_kept(settings: Any) -> None:
    settings.DATABASE_SECONDS = 0.2

    with taken(None), pytest.raises(OperationalError, match="locked"):
        Heartbeat.objects.beat("never")

    assert not Heartbeat.objects.filter(name="never").exists()


def test_other_errors_are_raised_at_once() -> None:
    with pytest.raises(OperationalError, match="no such table"), connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM no_such_table")
