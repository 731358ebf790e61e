"""Deletion of predictions after their retention, and the answers to requests for deleted ones."""

import uuid
from datetime import timedelta
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from predictions.maintenance import retention
from predictions.models import Feedback, ModelVersion, Prediction, State, Tombstone
from predictions.models.states import TERMINAL
from tests.integration.conftest import make, signed_in, statements
from tests.integration.web.conftest import Page
from tests.support.commands import run
from tests.support.site_client import Client

DAY = 24 * 3600.0
ADDRESSES = ("/predictions/{}/", "/predictions/{}/status/")


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_prune_removes_old_ended_rows_and_leaves_tombstones(iris: ModelVersion, state: State) -> None:
    old, young = make(iris, state, age=3 * DAY), make(iris, state, age=DAY)
    Feedback.objects.say(old, "visitor:somebody", was_right=True)

    assert retention.prune(timedelta(days=2)) == 1

    assert list(Prediction.objects.all()) == [young]
    assert not Feedback.objects.exists()
    assert [stone.pk for stone in Tombstone.objects.all()] == [old.pk]


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING])
def test_prune_keeps_unfinished_rows(iris: ModelVersion, state: State) -> None:
    row = make(iris, state, age=300 * DAY)

    assert retention.prune(timedelta(days=1)) == 0
    assert Prediction.objects.remove([row.pk]) == 0
    assert Prediction.objects.exists()
    assert not Tombstone.objects.exists()


def test_prune_stops_after_its_seconds_and_pauses(iris: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "STEP", 2)
    for age in (9, 8, 7, 6, 5):
        make(iris, State.SUCCEEDED, age=age * DAY)
    clock = count(0.0, 0.5)
    rests: list[float] = []
    monkeypatch.setattr(retention, "time", SimpleNamespace(monotonic=lambda: next(clock), sleep=rests.append))

    assert retention.prune(timedelta(days=1), seconds=1) == 2

    assert rests == [0.5]
    assert [row.created_at < timezone.now() - timedelta(days=7.5) for row in Prediction.objects.all()] == [False] * 3


def test_prune_with_nothing_due_reads_once_and_writes_nothing(iris: ModelVersion) -> None:
    make(iris, State.SUCCEEDED)

    with statements() as sent:
        retention.prune(timedelta(days=1))

    assert [sql.split()[0] for sql in sent] == ["SELECT"]


@pytest.mark.parametrize("kept_for", [None, timedelta(days=1)])
def test_keeper_prunes_only_if_a_retention_is_set(
    iris: ModelVersion, clean_redis: object, settings: Any, kept_for: timedelta | None
) -> None:
    settings.RETENTION = kept_for
    make(iris, State.SUCCEEDED, age=2 * DAY)

    assert run("keeper", "--once") == ("1 pruned\n" if kept_for else "nothing to do\n")


def test_prune_command_prints_the_number_of_rows(iris: ModelVersion, settings: Any) -> None:
    make(iris, State.SUCCEEDED, age=2 * DAY)
    settings.RETENTION = None
    assert run("prune") == "Nothing is removed: RETENTION_DAYS is not set, so predictions are kept for ever.\n"

    settings.RETENTION = timedelta(days=1)

    assert run("prune") == "1 predictions and 0 files older than 1 days removed.\n"


# --- Requests for deleted predictions ---------------------------------------------------------------------------------
@pytest.fixture
def removed(iris: ModelVersion) -> uuid.UUID:
    row = make(iris, State.SUCCEEDED)
    Prediction.objects.remove([row.pk])
    return row.pk


@pytest.mark.parametrize("address", ADDRESSES)
def test_page_of_removed_prediction_is_410(client: Client, owner: User, removed: uuid.UUID, address: str) -> None:
    for someone in (client, signed_in(owner)):
        response = someone.get(address.format(removed))

        assert response.status_code == 410
        assert "This prediction was removed" in Page(response).text


@pytest.mark.parametrize(("method", "place"), [("get", ""), ("post", "cancel/"), ("post", "feedback/")])
def test_api_answers_410_for_removed_prediction(client: Client, removed: uuid.UUID, method: str, place: str) -> None:
    response = getattr(client, method)(f"/api/v1/predictions/{removed}/{place}", content_type="application/json")

    assert (response.status_code, response["Content-Type"]) == (410, "application/problem+json")
    assert response.json()["code"] == "removed"


@pytest.mark.parametrize("address", [*ADDRESSES, "/api/v1/predictions/{}/"])
def test_unknown_id_is_404(client: Client, removed: uuid.UUID, address: str) -> None:
    assert client.get(address.format(uuid.uuid4())).status_code == 404


def test_form_from_removed_prediction_begins_empty(client: Client, removed: uuid.UUID) -> None:
    assert client.get(f"/models/iris/?from={removed}").status_code == 200


def test_prediction_removed_during_a_wait_has_not_ended(iris: ModelVersion) -> None:
    row = make(iris)
    Prediction.objects.filter(pk=row.pk).delete()

    assert row.refresh_status() is False
