"""Lanes that stand still are executed by the fallback worker, whatever the reason."""

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
import redis
from django.utils import timezone

from predictions.maintenance.fallback import HOLD_SECONDS, STALLED_AFTER, Fallback
from predictions.maintenance.runner import Done
from predictions.models import Lane, ModelVersion, Prediction, RegisteredModel, State
from predictions.queue import notifications, redis_client
from predictions.worker import drain
from tests.integration.conftest import make
from tests.support.waiting import wait_until

LONG = STALLED_AFTER.total_seconds() + 5


def serve_here(lanes: list[str]) -> None:
    """Serve the lanes in this thread: a child process would not see the uncommitted rows of the test."""
    for lane in lanes:
        assert drain.serve(lane, time.monotonic() + 10)


@pytest.fixture
def fallback() -> Fallback:
    return Fallback(serve_here)


@pytest.fixture
def move_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the clock of the fallback forward by some seconds."""
    now = [1000.0]

    def move(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr("predictions.maintenance.fallback.time.monotonic", lambda: now[0])
    return move


def check_twice(fallback: Fallback) -> Done:
    """A lane is taken over at the second check that finds it standing still."""
    fallback.check()
    return fallback.check()


def states() -> list[str]:
    return list(Prediction.objects.order_by("created_at").values_list("state", flat=True))


# --- The rule of progress ---------------------------------------------------------------------------------------------
def test_lane_whose_rows_wait_too_long_is_executed(
    fallback: Fallback, iris: ModelVersion, clean_redis: redis.Redis
) -> None:
    """Redis answers, but there is no worker."""
    make(iris, age=LONG)
    make(iris, age=1)

    assert check_twice(fallback) == {"executed_for": 1}
    assert states() == [State.SUCCEEDED] * 2
    assert fallback.active() == [Lane.INTERACTIVE]


def test_rows_that_wait_for_a_moment_are_left_to_the_workers(
    fallback: Fallback, iris: ModelVersion, clean_redis: redis.Redis
) -> None:
    make(iris, age=1)

    assert check_twice(fallback) == {"executed_for": 0}
    assert states() == [State.QUEUED]
    assert fallback.active() == []


def test_lane_with_a_live_claim_is_left_to_its_worker(
    fallback: Fallback, iris: ModelVersion, clean_redis: redis.Redis
) -> None:
    """A predict call may take long."""
    make(iris, State.RUNNING, age=20, claimed_until=timezone.now() + timedelta(seconds=5))
    make(iris, age=LONG)

    assert check_twice(fallback) == {"executed_for": 0}


def test_lane_with_a_recent_claim_is_left_to_its_workers(
    fallback: Fallback, iris: ModelVersion, clean_redis: redis.Redis
) -> None:
    """A long queue that moves: each row waits for longer than the bound, and its workers are well."""
    make(iris, State.SUCCEEDED, age=2)
    make(iris, age=LONG)

    assert check_twice(fallback) == {"executed_for": 0}


def test_progress_of_one_lane_does_not_count_for_another(
    fallback: Fallback, iris: ModelVersion, clean_redis: redis.Redis
) -> None:
    make(iris, State.SUCCEEDED, age=2)
    make(iris, age=LONG, lane=Lane.BULK)

    assert check_twice(fallback) == {"executed_for": 1}
    assert fallback.active() == [Lane.BULK]


def test_claim_with_an_expired_lease_is_no_progress(
    fallback: Fallback, iris: ModelVersion, clean_redis: redis.Redis
) -> None:
    """The claims of frozen workers stay until their lease ends, and then do not count."""
    make(iris, State.RUNNING, age=60, claimed_until=timezone.now() - timedelta(seconds=1))
    make(iris, age=LONG)

    assert check_twice(fallback) == {"executed_for": 1}


def test_row_past_its_deadline_is_left_to_the_leases(
    fallback: Fallback, iris: ModelVersion, clean_redis: redis.Redis
) -> None:
    make(iris, age=LONG, deadline_at=timezone.now() - timedelta(seconds=1))

    assert check_twice(fallback) == {"executed_for": 0}


def test_lane_is_held_although_the_fallback_worker_makes_progress(
    fallback: Fallback, iris: ModelVersion, clean_redis: redis.Redis, move_clock: Callable[[float], None]
) -> None:
    make(iris, age=LONG)
    check_twice(fallback)

    make(iris, age=0.1)
    move_clock(HOLD_SECONDS - 1)
    assert fallback.check() == {"executed_for": 1}

    make(iris, age=0.1)
    move_clock(2)
    assert check_twice(fallback) == {"executed_for": 0}
    assert fallback.active() == []


def test_row_that_was_just_requeued_is_left_to_the_workers(
    fallback: Fallback, iris: ModelVersion, clean_redis: redis.Redis
) -> None:
    """The workers are notified of a row when it is requeued, and not before."""
    row = make(iris, age=LONG)

    assert fallback.check() == {"executed_for": 0}

    Prediction.objects.filter(pk=row.pk).update(created_at=timezone.now())
    assert fallback.check() == {"executed_for": 0}
    Prediction.objects.filter(pk=row.pk).update(created_at=row.created_at)
    assert fallback.check() == {"executed_for": 0}
    assert fallback.check() == {"executed_for": 1}


# --- Obstacles in Redis -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "name",
    ["interactive", "interactive\x06\x163", "_kombu.binding.interactive", "unacked", "unacked_index"],
)
def test_key_of_a_wrong_type_is_deleted(
    name: str, fallback: Fallback, iris: ModelVersion, clean_redis: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    clean_redis.set(name, "a string")
    make(iris, age=LONG)

    assert check_twice(fallback) == {"executed_for": 1}
    assert not clean_redis.exists(name)
    assert f"deleted in Redis: {name}" in caplog.text
    redis_client.breaker.reset()
    assert notifications.notify(Lane.INTERACTIVE)


def test_queue_of_the_right_type_keeps_its_messages(
    fallback: Fallback, iris: ModelVersion, clean_redis: redis.Redis
) -> None:
    notifications.publish(Lane.INTERACTIVE)
    make(iris, age=LONG)

    check_twice(fallback)

    assert clean_redis.llen(Lane.INTERACTIVE) == 1


def test_stale_marks_are_deleted_so_that_a_message_is_sent(
    fallback: Fallback, iris: ModelVersion, clean_redis: redis.Redis
) -> None:
    """The worker that set them was killed."""
    notifications.notify(Lane.INTERACTIVE)
    notifications.mark_attended(Lane.INTERACTIVE)
    notifications.notify(Lane.INTERACTIVE)
    clean_redis.delete(Lane.INTERACTIVE)
    make(iris, age=LONG)

    check_twice(fallback)
    notifications.notify(Lane.INTERACTIVE)

    assert clean_redis.llen(Lane.INTERACTIVE) == 1


# --- Redis away -------------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("redis_away")
def test_without_redis_all_lanes_are_executed_at_once(
    fallback: Fallback, registered: dict[str, RegisteredModel], iris: ModelVersion
) -> None:
    wine = registered["wine"]
    assert wine.champion
    example = wine.description["examples"][0]["values"]
    row = [example[name] for name in wine.champion.signature.names]
    make(iris, age=0.1)
    make(iris, age=0.1, lane=Lane.BULK)
    make(wine.champion, age=0.1, values=row)

    assert fallback.check() == {"executed_for": 2}
    assert states() == [State.SUCCEEDED] * 3
    assert fallback.active() == list(Lane.values)
    assert fallback.check() == {"executed_for": 0}


def test_full_redis_counts_as_away(clean_redis: redis.Redis) -> None:
    """A full Redis answers a ping, but accepts no message."""
    clean_redis.config_set("maxmemory", 1)
    try:
        assert redis_client.is_reachable() is False
    finally:
        clean_redis.config_set("maxmemory", 0)
    assert redis_client.is_reachable() is True


def test_redis_is_reachable_while_it_answers(clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    wait_until(redis_client.is_reachable, 5, "Redis answers")
    monkeypatch.setattr(redis_client, "client", lambda: redis.Redis(unix_socket_path="/nowhere/redis.sock", retry=None))
    assert redis_client.is_reachable() is False
