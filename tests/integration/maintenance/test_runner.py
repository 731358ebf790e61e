"""One sweep of the keeper, with Redis and without."""

import json
import logging
import time
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from predictions.maintenance.runner import EXAMINE_SECONDS, Keeper, Sweep
from predictions.models import Lane, ModelVersion, Prediction, RegisteredModel, State
from predictions.queue import completions, notifications, redis_client
from predictions.worker import drain
from tests.integration.conftest import make
from tests.support.waiting import wait_until

PAST = timedelta(seconds=-1)


def serve_here(lane: str) -> bool:
    """The keeper serves in a child process, which would not see what this test has not committed."""
    return drain.serve(lane, time.monotonic() + 10)


@pytest.fixture
def keeper() -> Keeper:
    return Keeper(seconds=0.01, serve=serve_here)


@pytest.fixture
def redis_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client whose server is not there."""
    dead = redis.Redis(unix_socket_path="/nowhere/redis.sock", retry=None)
    for module in (redis_client, notifications, completions):
        monkeypatch.setattr(module, "client", lambda: dead)


def test_sweep_with_nothing_to_do_does_nothing(keeper: Keeper, iris: ModelVersion, clean_redis: redis.Redis) -> None:
    assert keeper.sweep() == Sweep()
    assert str(Sweep()) == "nothing to do"


def test_sweep_ends_what_is_late_or_lost_and_announces_it(
    keeper: Keeper, iris: ModelVersion, clean_redis: redis.Redis
) -> None:
    past = timezone.now() + PAST
    late = make(iris, deadline_at=past)
    lost = make(iris, State.RUNNING, claimed_until=past, attempts=settings.MAX_ATTEMPTS)
    with clean_redis.pubsub(ignore_subscribe_messages=True) as channel:
        channel.subscribe(completions.CHANNEL)
        channel.get_message(timeout=1)

        sweep = keeper.sweep()

        message = channel.get_message(timeout=1)
    assert sweep == Sweep(lost=1, expired=1)
    assert message
    assert json.loads(message["data"]) == [lost.pk.hex, late.pk.hex]
    assert str(sweep) == "1 lost, 1 expired"


def test_sweep_gives_back_what_a_dead_worker_held_and_rings(
    keeper: Keeper, iris: ModelVersion, clean_redis: redis.Redis
) -> None:
    make(iris, State.RUNNING, age=90, claimed_until=timezone.now() + PAST)

    assert keeper.sweep() == Sweep(requeued=1, reminded=1)
    assert clean_redis.llen(Lane.INTERACTIVE) == 1


def test_sweep_notifies_once_for_each_lane_that_waits(
    keeper: Keeper, registered: dict[str, RegisteredModel], iris: ModelVersion, clean_redis: redis.Redis
) -> None:
    wine = registered["wine"].champion
    assert wine
    for _ in range(3):
        make(iris, age=60)
    make(iris, age=60, lane=Lane.BULK)
    make(wine, age=60)
    make(wine, age=0, lane=Lane.BULK)

    assert keeper.sweep() == Sweep(reminded=2)
    assert (clean_redis.llen(Lane.INTERACTIVE), clean_redis.llen(Lane.BULK)) == (1, 1)


def test_sweep_does_not_flood_a_slow_queue(keeper: Keeper, iris: ModelVersion, clean_redis: redis.Redis) -> None:
    make(iris, age=60)
    clean_redis.rpush(Lane.INTERACTIVE, *[b"{}"] * notifications.ENOUGH_MESSAGES)

    keeper.sweep()

    assert clean_redis.llen(Lane.INTERACTIVE) == notifications.ENOUGH_MESSAGES


def test_sweep_rings_no_second_time_while_a_ring_is_outstanding(
    keeper: Keeper, iris: ModelVersion, clean_redis: redis.Redis
) -> None:
    make(iris, age=60)

    keeper.sweep()
    keeper.sweep()

    assert clean_redis.llen(Lane.INTERACTIVE) == 1


def test_sweep_asks_for_champions_that_do_not_serve_now_and_then(
    iris: ModelVersion, clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    ModelVersion.objects.mark_unavailable(iris.pk, "broken")
    clock = EXAMINE_SECONDS + 1
    monkeypatch.setattr("predictions.maintenance.runner.time.monotonic", lambda: clock)
    keeper = Keeper(1, serve=serve_here)

    keeper.sweep()
    keeper.sweep()
    assert clean_redis.llen(Lane.INTERACTIVE) == 1
    assert json.loads(clean_redis.lindex(Lane.INTERACTIVE, 0))["headers"]["task"] == notifications.EXAMINE

    clock += EXAMINE_SECONDS
    keeper.sweep()
    assert clean_redis.llen(Lane.INTERACTIVE) == 2


@pytest.mark.usefixtures("redis_away")
def test_sweep_without_redis_executes_by_itself(
    keeper: Keeper, registered: dict[str, RegisteredModel], iris: ModelVersion
) -> None:
    wine = registered["wine"]
    assert wine.champion
    example = wine.description["examples"][0]["values"]
    row = [example[name] for name in wine.champion.signature.names]
    make(iris)
    make(iris, lane=Lane.BULK)
    make(wine.champion, values=row)

    assert keeper.sweep() == Sweep(executed_for=2)
    assert list(Prediction.objects.values_list("state", flat=True)) == [State.SUCCEEDED] * 3
    assert keeper.sweep() == Sweep()


@pytest.mark.usefixtures("redis_away")
def test_sweep_without_redis_still_ends_what_is_late(keeper: Keeper, iris: ModelVersion) -> None:
    make(iris, deadline_at=timezone.now() + PAST)

    assert keeper.sweep() == Sweep(expired=1)


def test_run_outlives_a_database_that_is_away(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, db: None
) -> None:
    class Stop(Exception):
        pass

    sweeps: list[Any] = [DatabaseError("away"), Sweep(lost=2), Stop()]

    def sweep(_: Keeper) -> Sweep:
        found = sweeps.pop(0)
        if isinstance(found, Exception):
            raise found
        return found  # type: ignore[no-any-return]

    monkeypatch.setattr(Keeper, "sweep", sweep)
    monkeypatch.setattr("predictions.maintenance.runner.connection.close", lambda: None)
    with caplog.at_level(logging.INFO, "predictions.maintenance.runner"), pytest.raises(Stop):
        keeper.run()

    assert [record.getMessage() for record in caplog.records] == [
        "the database is away: DatabaseError",
        "swept: 2 lost",
    ]


def test_redis_that_is_full_is_as_good_as_away(clean_redis: redis.Redis) -> None:
    """It answers a ping, but takes no message: without the keeper nobody would ever hear of a row."""
    clean_redis.config_set("maxmemory", 1)
    try:
        assert redis_client.is_reachable() is False
    finally:
        clean_redis.config_set("maxmemory", 0)
    assert redis_client.is_reachable() is True


def test_reachable_says_whether_redis_answers(clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    wait_until(redis_client.is_reachable, 5, "Redis answers")
    monkeypatch.setattr(redis_client, "client", lambda: redis.Redis(unix_socket_path="/nowhere/redis.sock", retry=None))
    assert redis_client.is_reachable() is False
