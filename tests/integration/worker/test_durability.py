"""Commits that wait for the disk: acceptances do. Claims and settles do not, since they can be repeated."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.backends.signals import connection_created
from pytest_django.fixtures import Settings

from predictions.models import Lane, ModelVersion, Prediction
from predictions.models.claim import Predicted
from predictions.serving.engines.predictor import Outcome
from predictions.worker import preload
from tests.integration.conftest import SETOSA, make

pytestmark = pytest.mark.django_db(transaction=True)
ASKING = {"sqlite": "PRAGMA synchronous", "postgresql": "SHOW synchronous_commit"}
WAITING = {"sqlite": 2, "postgresql": "on"}
NOT_WAITING = {"sqlite": 1, "postgresql": "off"}


@pytest.fixture
def worker() -> Iterator[None]:
    """This process has the database connections of a worker."""
    preload.relax_durability()
    yield
    connection_created.disconnect(dispatch_uid="relaxed durability")


def durability() -> Any:
    """The durability of a new connection to a server whose commits wait, as they do by default."""
    new = connection.copy()
    if new.vendor == "postgresql":
        options = new.settings_dict["OPTIONS"]
        new.settings_dict = {
            **new.settings_dict,
            "OPTIONS": {**options, "options": f"{options['options']} -c synchronous_commit=on"},
        }
    try:
        with new.cursor() as cursor:
            cursor.execute(ASKING[new.vendor])
            return cursor.fetchone()[0]
    finally:
        new.close()


def test_commit_of_a_web_process_waits_for_the_disk() -> None:
    assert durability() == WAITING[connection.vendor]


@pytest.mark.usefixtures("worker")
def test_commit_of_a_worker_does_not_wait_for_the_disk() -> None:
    assert durability() == NOT_WAITING[connection.vendor]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite loses nothing when a process dies")
@pytest.mark.parametrize(("attempts", "expected"), [(1, "off"), (3, "on")])
def test_settle_after_the_last_attempt_waits_for_the_disk(
    iris: ModelVersion, settings: Settings, attempts: int, expected: str
) -> None:
    """After the last attempt, a settle that is lost could not be repeated."""
    settings.MAX_ATTEMPTS = 3
    make(iris, attempts=attempts - 1)
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
    claim: Any = Prediction.objects.claim(Lane.INTERACTIVE, 64)
    with transaction.atomic(), connection.cursor() as cursor:
        Prediction.objects.settle([Predicted(claim, [Outcome(SETOSA, None)], 1.0)])
        cursor.execute("SHOW synchronous_commit")
        assert cursor.fetchone()[0] == expected
