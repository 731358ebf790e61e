"""The health endpoints."""

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from predictions.api import threads
from predictions.maintenance import canary
from predictions.models import Comparison, Heartbeat, Lane, ModelVersion, Prediction, RegisteredModel, Source, State
from predictions.models.comparison import Kind
from predictions.observability import health
from predictions.queue import redis_client
from predictions.worker import drain
from tests.integration.conftest import make, statements
from tests.support.door import SECONDS, open_door
from tests.support.site_client import Client


def champion_of(model: RegisteredModel) -> ModelVersion:
    assert model.champion
    return model.champion


def answer_canaries() -> None:
    canary.send()
    drain.serve(canary.LANE, time.monotonic() + 10)


@pytest.mark.usefixtures("registered", "redis_server")
def test_ready_with_fresh_canaries_and_a_keeper_is_ready(client: Client) -> None:
    answer_canaries()
    Heartbeat.objects.beat("keeper")

    response = client.get("/healthz/ready")

    assert (response.status_code, response.json()["status"]) == (200, "ready")
    assert set(response.json()["canary_seconds"]) == {"interactive"}


@pytest.mark.usefixtures("registered", "redis_server")
def test_ready_without_a_keeper_is_degraded(client: Client) -> None:
    answer_canaries()

    response = client.get("/healthz/ready")

    assert (response.status_code, response.json()["status"]) == (200, "degraded")


@pytest.mark.usefixtures("registered", "redis_server")
def test_ready_while_the_fallback_worker_executes_a_lane_is_degraded(client: Client) -> None:
    answer_canaries()
    Heartbeat.objects.beat("keeper", fallback=[Lane.BULK])

    response = client.get("/healthz/ready")

    assert (response.status_code, response.json()["status"]) == (200, "degraded")


@pytest.mark.usefixtures("registered", "redis_server")
@pytest.mark.parametrize("minutes", [-10, 10])
def test_ready_with_a_wrong_clock_of_one_process_is_ready(
    client: Client, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    """The age of a canary depends on the clock of the database only. Here the clock of its sender is wrong."""
    wrong = timezone.now() + timedelta(minutes=minutes)
    with monkeypatch.context() as keeper:
        keeper.setattr("django.utils.timezone.now", lambda: wrong)
        answer_canaries()
    Heartbeat.objects.beat("keeper")

    assert client.get("/healthz/ready").json()["status"] == "ready"
    assert canary.send() == 0


@pytest.mark.usefixtures("registered", "redis_server")
def test_ready_with_unanswered_canaries_is_down(client: Client) -> None:
    canary.send()
    Prediction.objects.update(created_at=timezone.now() - 2 * canary.STALE)

    response = client.get("/healthz/ready")

    assert (response.status_code, response.json()["status"]) == (503, "down")


@pytest.mark.usefixtures("registered", "redis_server")
def test_ready_without_a_database_is_down(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(*args: object) -> None:
        raise OperationalError

    monkeypatch.setattr("predictions.models.heartbeat.HeartbeatQuerySet.beat", unavailable)

    response = client.get("/healthz/ready")

    assert (response.status_code, response.json()["database"]) == (503, "away")


@pytest.mark.usefixtures("registered", "redis_server")
def test_ready_without_a_broker_is_degraded(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_canaries()
    Heartbeat.objects.beat("keeper")
    monkeypatch.setattr(redis_client, "is_reachable", lambda: False)

    response = client.get("/healthz/ready")

    assert response.status_code == 200
    assert (response.json()["status"], response.json()["broker"]) == ("degraded", "away")


@pytest.mark.usefixtures("redis_server")
def test_ready_while_the_lane_of_files_stands_still_is_degraded(
    client: Client, registered: dict[str, RegisteredModel]
) -> None:
    answer_canaries()
    Heartbeat.objects.beat("keeper")
    version = champion_of(registered["iris"])
    row = Prediction(version=version, caller="user:1", source=Source.API, lane=Lane.BULK, values=[5.1, 3.5, 1.4, 0.2])
    Prediction.objects.accept([row])
    assert client.get("/healthz/ready").json()["status"] == "ready"
    health.clear_cache()
    Prediction.objects.filter(pk=row.pk).update(created_at=timezone.now() - canary.STALE - timedelta(seconds=1))

    response = client.get("/healthz/ready")

    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert response.json()["stalled"] == ["bulk"]


@pytest.mark.usefixtures("redis_server")
def test_ready_while_a_replay_is_served_by_nobody_is_degraded(
    client: Client, registered: dict[str, RegisteredModel]
) -> None:
    """The fallback worker replays nothing. While predictions wait, replays do too."""
    answer_canaries()
    Heartbeat.objects.beat("keeper")
    version = champion_of(registered["iris"])
    Comparison.objects.create(version=version, kind=Kind.REPLAY, wanted=10)
    assert health.examine().status == "ready"

    Comparison.objects.update(served_at=timezone.now() - canary.STALE - timedelta(seconds=1))

    assert (health.examine().status, health.examine().stalled) == ("degraded", ["bulk"])
    late = make(version, age=2)
    assert health.examine().stalled == []
    Prediction.objects.filter(pk=late.pk).delete()
    Comparison.objects.end()
    assert health.examine().status == "ready"


@pytest.mark.usefixtures("registered", "redis_server")
def test_ready_has_the_age_of_the_newest_worker_heartbeat(client: Client) -> None:
    assert client.get("/healthz/ready").json()["worker_seconds"] is None
    health.clear_cache()
    Heartbeat.objects.beat("worker:worker@a/0")
    Heartbeat.objects.update(at=timezone.now() - timedelta(hours=1))
    Heartbeat.objects.beat("worker:worker@b/0")

    assert client.get("/healthz/ready").json()["worker_seconds"] < 5


@pytest.mark.usefixtures("registered", "redis_server")
def test_ready_is_cached(client: Client) -> None:
    client.get("/healthz/ready")

    with statements() as sent:
        client.get("/healthz/ready")

    assert sent == []


MORE_THAN_THREADS = 64
LIVE = {"/healthz/live": b"ok", "/v2/health/live": b'{"live":true}'}


def test_live_is_not_redirected_to_https(client: Client, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True

    assert [client.get(address).status_code for address in LIVE] == [200, 200]
    assert [client.get(address).status_code for address in ("/", "/api/v1/models/")] == [301, 308]


def test_live_needs_no_database(client: Client) -> None:
    assert {address: client.get(address).content for address in LIVE} == LIVE


@pytest.mark.parametrize("authorization", ["Bearer ft_unknown", "Basic eDp5"])
def test_live_ignores_the_authorization_header(client: Client, authorization: str) -> None:
    assert client.get("/healthz/live", headers={"Authorization": authorization}).content == b"ok"


@pytest.mark.django_db(transaction=True)  # without it, calls of other threads would run in this one
def test_live_is_answered_while_all_threads_are_busy() -> None:
    """Pages and rare operations may be slow. That is no reason to end the process."""
    go_on = threading.Event()
    with open_door() as door:
        pools = [door.handler.pages.threads, threads.threads]
        taken = [pool.submit(go_on.wait, SECONDS) for pool in pools for _ in range(MORE_THAN_THREADS)]
        try:
            answers = {address: door.ask("GET", address).content for address in LIVE}
            assert not any(one.done() for one in taken)
        finally:
            go_on.set()
    assert answers == LIVE


def test_live_allows_only_get_and_head(client: Client) -> None:
    assert {client.post(address).status_code for address in LIVE} == {405}
    assert [client.head(address).content for address in LIVE] == [b"", b""]


@pytest.mark.usefixtures("registered", "redis_server")
def test_canary_is_sent_at_its_interval_where_people_wait() -> None:
    assert canary.send() == 1
    assert canary.send() == 0
    Prediction.objects.update(created_at=timezone.now() - canary.EVERY - timedelta(seconds=1))
    assert canary.send() == 1
    assert not Prediction.objects.filter(lane=Lane.BULK).exists()
    Prediction.objects.update(created_at=timezone.now() - canary.KEPT_FOR - timedelta(seconds=1), state=State.SUCCEEDED)
    canary.send()
    assert Prediction.objects.count() == 1


@pytest.mark.usefixtures("redis_server")
def test_canary_without_an_available_version_is_not_sent(registered: object) -> None:
    ModelVersion.objects.update(unavailable_reason="broken")

    assert canary.send() == 0


@pytest.mark.usefixtures("redis_server")
def test_canary_uses_a_valid_example(registered: dict[str, RegisteredModel]) -> None:
    """A model description may be newer than its champion, and then its examples may be invalid."""
    first = registered["breast-cancer"]
    RegisteredModel.objects.filter(pk=first.pk).update(description={"examples": [{"values": {"new feature": 1}}]})

    assert canary.send() == 1

    assert not Prediction.objects.filter(version=first.champion_id).exists()


@pytest.mark.usefixtures("registered", "redis_server")
def test_form_warns_of_late_answers(client: Client) -> None:
    canary.send()
    assert b"Answers are late" not in client.get("/models/iris/").content

    Prediction.objects.update(created_at=timezone.now() - timedelta(seconds=12))

    assert "Answers are late: the workers have not answered a test prediction" in client.get("/models/iris/").text
