"""Which commits wait for the disk: an acceptance does, what a worker does again after a power cut does not."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.backends.signals import connection_created

from predictions.worker import preload

pytestmark = pytest.mark.django_db(transaction=True)
ASKING = {"sqlite": "PRAGMA synchronous", "postgresql": "SHOW synchronous_commit"}
WAITING = {"sqlite": 2, "postgresql": "on"}
NOT_WAITING = {"sqlite": 1, "postgresql": "off"}


@pytest.fixture
def worker() -> Iterator[None]:
    """This process drains."""
    preload.relax_durability()
    yield
    connection_created.disconnect(dispatch_uid="relaxed durability")


def durability() -> Any:
    """Of a new connection to a server whose commits wait, as they do by default."""
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
