"""What becomes of a task that fails, and of its connection to the database."""

import logging
from collections.abc import Callable

import pytest
import redis
from django.db import InterfaceError, OperationalError, connection

from predictions import tasks
from predictions.models import Lane, ModelVersion, Prediction, State
from predictions.worker import drain
from tests.integration.conftest import make


def failing(error: BaseException) -> Callable[[str], None]:
    def fail(lane: str) -> None:
        raise error

    return fail


@pytest.mark.parametrize("error", [ValueError("a bug"), MemoryError("4 GB")])
def test_failure_is_logged_and_stays_in_the_task(
    error: BaseException, db: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(drain, "drain_lane", failing(error))

    tasks.drain_lane(Lane.INTERACTIVE)

    [record] = [one for one in caplog.records if one.name == "predictions.tasks"]
    assert record.levelno == logging.ERROR
    assert record.exc_info
    assert record.exc_info[1] is error


@pytest.mark.parametrize("error", [OperationalError("away"), InterfaceError("closed")])
def test_database_that_is_away_is_one_line(
    error: Exception, db: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(drain, "drain_lane", failing(error))

    tasks.drain_lane(Lane.INTERACTIVE)

    [record] = [one for one in caplog.records if one.name == "predictions.tasks"]
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
