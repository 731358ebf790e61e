"""Celery tasks that fail: their exceptions are logged, and the next task has a working database connection."""

import logging
from collections.abc import Callable

import pytest
import redis
from django.db import InterfaceError, OperationalError, connection

from predictions import tasks
from predictions.models import Lane, ModelVersion, Prediction, State
from predictions.worker import drain
from tests.integration.conftest import make

LogOf = Callable[[Exception], logging.LogRecord]


@pytest.fixture
def log_of(db: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> LogOf:
    """Runs a task whose body raises an error, and returns its log record."""

    def run(error: Exception) -> logging.LogRecord:
        def fail(lane: str) -> None:
            raise error

        monkeypatch.setattr(drain, "drain_lane", fail)
        tasks.drain_lane(Lane.INTERACTIVE)
        [record] = [one for one in caplog.records if one.name == "predictions.tasks"]
        return record

    return run


@pytest.mark.parametrize("error", [ValueError("a bug"), MemoryError("4 GB")])
def test_exception_is_logged_and_not_raised(log_of: LogOf, error: Exception) -> None:
    record = log_of(error)

    assert record.levelno == logging.ERROR
    assert record.exc_info
    assert record.exc_info[1] is error


@pytest.mark.parametrize("error", [OperationalError("away"), InterfaceError("closed")])
def test_error_of_the_database_is_logged_without_a_traceback(log_of: LogOf, error: Exception) -> None:
    record = log_of(error)

    assert (record.levelno, record.exc_info) == (logging.WARNING, None)
    assert type(error).__name__ in record.getMessage()


@pytest.mark.django_db(transaction=True)
def test_connection_that_is_lost_is_replaced_at_the_next_task(iris: ModelVersion, clean_redis: redis.Redis) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("a connection to a file is not lost")
    row = make(iris)
    assert connection.connection
    connection.connection.close()

    for _ in range(2):
        tasks.drain_lane(Lane.INTERACTIVE)

    assert Prediction.objects.get(pk=row.pk).state == State.SUCCEEDED
