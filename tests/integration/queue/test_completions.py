"""Completions: an announcement ends the waits for its predictions, and a lost one costs only time."""

import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis

from predictions.models import ModelVersion, Prediction, RegisteredModel
from predictions.queue import completions, redis_client
from predictions.queue.completions import CompletionListener, Subscription, announce
from predictions.use_cases import wait
from project.dev_redis import server_binary
from tests.integration.conftest import make, run_worker
from tests.support.announcements import listening
from tests.support.waiting import wait_until

LONG = 20.0
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def listener(clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> CompletionListener:
    listener = CompletionListener()
    monkeypatch.setattr(wait, "listener", listener)
    return listener


@pytest.fixture
def never_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits do not read their rows, so only announcements end them."""
    monkeypatch.setattr(completions, "LOOK_SECONDS", 3600.0)


def cancel(*rows: Prediction) -> None:
    Prediction.objects.filter(pk__in=[row.pk for row in rows]).cancel()


def states(subscription: Subscription, seconds: float = LONG) -> list[str]:
    return sorted(status[0] for status in subscription.ended.result(seconds).values())


def first_look_made(listener: CompletionListener, client: redis.Redis, ended: Prediction) -> None:
    """Wait until the listener has subscribed and has read the rows once that may have ended before."""
    with listener.subscribe([ended.pk]) as subscription:
        listening(client)
        announce([ended.pk])
        subscription.ended.result(LONG)


@pytest.mark.usefixtures("never_looking")
def test_wait_ends_with_the_announcement_of_its_prediction(
    listener: CompletionListener, clean_redis: redis.Redis, iris: ModelVersion
) -> None:
    row, other = make(iris), make(iris)
    with listener.subscribe([row.pk]) as subscription:
        listening(clean_redis)
        cancel(row, other)
        announce([other.pk, row.pk])

        assert states(subscription) == ["canceled"]


@pytest.mark.usefixtures("never_looking")
def test_announcement_with_statuses_ends_the_wait_without_a_read(
    listener: CompletionListener, clean_redis: redis.Redis, iris: ModelVersion
) -> None:
    row, other = make(iris), make(iris)  # in the database both are queued
    started, finished = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC), datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC)
    told = ("succeeded", {"kind": "regression", "value": 0.1}, "", started, finished, 1.5, 1)
    failed = ("failed", None, "model_error", started, finished, 1.5, 1)
    with listener.subscribe([row.pk]) as subscription:
        listening(clean_redis)
        announce([other.pk, row.pk], [failed, told])

        assert subscription.ended.result(LONG) == {row.pk: told}


@pytest.mark.usefixtures("never_looking")
def test_each_wait_ends_with_what_its_own_row_says(
    listener: CompletionListener, clean_redis: redis.Redis, iris: ModelVersion, kinds: RegisteredModel
) -> None:
    assert kinds.champion
    rows = [
        make(version, values=values, age=age)
        for age, (version, values) in enumerate(
            [
                (iris, [5.1, 3.5, 1.4, 0.2]),
                (kinds.champion, [1.5, 2, "r", True, None, None]),
                (iris, [6.7, 3.1, 5.6, 2.4]),
                (kinds.champion, [13.0, 2, "r", True, None, None]),  # it fails
            ]
        )
    ]
    with ExitStack() as stack:
        waits = [stack.enter_context(listener.subscribe([row.pk])) for row in rows]
        listening(clean_redis)
        run_worker(iris)
        told = [one.ended.result(LONG) for one in waits]

    stored = Prediction.objects.fetch_statuses([row.pk for row in rows])
    assert told == [{row.pk: stored[row.pk]} for row in rows]
    assert sorted(status[0] for status in stored.values()) == ["failed", "succeeded", "succeeded", "succeeded"]


@pytest.mark.usefixtures("never_looking")
def test_long_announcement_lets_the_rows_be_read(
    listener: CompletionListener, clean_redis: redis.Redis, iris: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completions, "MOST_BYTES", 100)
    row, now = make(iris), datetime.now(UTC)
    with listener.subscribe([row.pk]) as subscription:
        listening(clean_redis)
        cancel(row)
        announce([row.pk], [("succeeded", {"value": "x" * 100}, "", now, now, 1.5, 1)])

        assert states(subscription) == ["canceled"]


@pytest.mark.usefixtures("never_looking")
def test_announcement_with_damaged_statuses_does_not_end_the_listener(
    listener: CompletionListener, clean_redis: redis.Redis, iris: ModelVersion
) -> None:
    row = make(iris)
    with listener.subscribe([row.pk]) as subscription:
        listening(clean_redis)
        cancel(row)
        time = '"2026-01-02T03:04:05+00:00"'
        for damaged in (
            '[["succeeded"]]',
            "[]",
            "{",
            '[["succeeded", null, "", 1, 2, 3, 4]]',
            f'[[["succeeded"], null, "", {time}, {time}, 3, 4]]',
            f'[["queued", null, "", {time}, {time}, 3, 4]]',
            '[["succeeded", null, "", "2026-01-02T03:04:05", "2026-01-02T03:04:05", 3, 4]]',
        ):
            clean_redis.publish(completions.CHANNEL, f'["{row.pk.hex}"]\n{damaged}')
        announce([row.pk])

        assert states(subscription) == ["canceled"]


@pytest.mark.usefixtures("never_looking")
def test_announcement_of_another_prediction_ends_no_wait(
    listener: CompletionListener, clean_redis: redis.Redis, iris: ModelVersion
) -> None:
    row, other, earlier = make(iris), make(iris), make(iris)
    cancel(earlier)
    with listener.subscribe([row.pk]) as waiting, listener.subscribe([other.pk]) as ended:
        first_look_made(listener, clean_redis, earlier)
        cancel(row, other)
        announce([other.pk])

        assert states(ended) == ["canceled"]
        assert not waiting.ended.done()


@pytest.mark.usefixtures("never_looking")
def test_wait_for_several_ends_with_the_last(
    listener: CompletionListener, clean_redis: redis.Redis, iris: ModelVersion
) -> None:
    rows = [make(iris), make(iris)]
    with listener.subscribe([row.pk for row in rows]) as subscription:
        listening(clean_redis)
        cancel(rows[0])
        announce([rows[0].pk])
        with pytest.raises(TimeoutError):
            subscription.ended.result(0.2)
        cancel(rows[1])
        announce([rows[1].pk])

        assert states(subscription) == ["canceled", "canceled"]


def test_lost_announcement_costs_no_full_wait(
    listener: CompletionListener, clean_redis: redis.Redis, iris: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completions, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(completions, "MESSAGE_SECONDS", 0.1)
    row = make(iris)
    with listener.subscribe([row.pk]) as subscription:
        listening(clean_redis)
        cancel(row)  # and nothing is announced

        assert states(subscription) == ["canceled"]


@pytest.mark.parametrize("message", ["5", "not JSON", '{"a": 1}', "null", '["no id"]', '[["nested"]]'])
@pytest.mark.usefixtures("never_looking")
def test_foreign_message_does_not_end_the_listener(
    listener: CompletionListener, clean_redis: redis.Redis, iris: ModelVersion, message: str
) -> None:
    row = make(iris)
    with listener.subscribe([row.pk]) as subscription:
        listening(clean_redis)
        clean_redis.publish(completions.CHANNEL, message)
        cancel(row)
        announce([row.pk])

        assert states(subscription) == ["canceled"]


@pytest.mark.usefixtures("never_looking")
def test_database_error_does_not_end_the_listener(
    listener: CompletionListener, clean_redis: redis.Redis, iris: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make(iris)
    fetch_statuses = Prediction.objects.fetch_statuses
    failed: list[Any] = []

    def fail_once(ids: Any) -> Any:
        if not failed:
            failed.append(ids)
            raise RuntimeError
        return fetch_statuses(ids)

    with listener.subscribe([row.pk]) as subscription:
        listening(clean_redis)
        cancel(row)
        monkeypatch.setattr(Prediction.objects, "fetch_statuses", fail_once)
        announce([row.pk])
        wait_until(lambda: bool(failed), 10, "the first look has failed")
        announce([row.pk])

        assert states(subscription) == ["canceled"]


# --- Threads that wait ------------------------------------------------------------------------------------------------
def test_thread_sees_the_ended_prediction(
    listener: CompletionListener, clean_redis: redis.Redis, iris: ModelVersion
) -> None:
    row = make(iris)
    with wait.subscribe([row.pk]) as subscription:
        listening(clean_redis)
        cancel(row)
        announce([row.pk])
        wait.wait_in_thread([row], subscription, LONG)

    assert row.state == "canceled"


def test_thread_looks_at_the_end_of_its_wait(listener: CompletionListener, iris: ModelVersion) -> None:
    row = make(iris)
    with wait.subscribe([row.pk]) as subscription:
        cancel(row)
        wait.wait_in_thread([row], subscription, 0.05)

    assert row.state == "canceled"


def test_no_more_threads_wait_than_waiters_max(listener: CompletionListener, iris: ModelVersion, settings: Any) -> None:
    settings.WAITERS_MAX = 0
    row = make(iris)
    started = time.monotonic()
    with wait.subscribe([row.pk]) as subscription:
        wait.wait_in_thread([row], subscription, LONG)

    assert time.monotonic() - started < LONG / 2
    assert row.state == "queued"


# --- A Redis that dies and comes back ---------------------------------------------------------------------------------
@pytest.fixture
def mortal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts a separate Redis, which the product then uses. Each call starts it again."""
    socket = tmp_path / "redis.sock"
    own = redis.Redis(unix_socket_path=str(socket), socket_timeout=1.0)
    monkeypatch.setattr(completions, "client", lambda: own)
    monkeypatch.setattr(completions, "RECONNECT_SECONDS", 0.02)
    monkeypatch.setattr(completions, "breaker", redis_client.Breaker(pause=0.0))
    running: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        command = [server_binary(), "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(tmp_path)]
        running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        wait_until(lambda: answers(own), 10, "Redis answers")
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()
    own.close()


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


@pytest.mark.usefixtures("never_looking")
def test_wait_goes_on_when_redis_is_back(mortal: Callable[[], "subprocess.Popen[bytes]"], iris: ModelVersion) -> None:
    listener = CompletionListener()
    unheard, row = make(iris), make(iris)
    first = mortal()
    with listener.subscribe([unheard.pk]) as missed, listener.subscribe([row.pk]) as subscription:
        listening(completions.client())
        first.kill()
        first.wait()
        cancel(unheard)
        announce([unheard.pk])  # no server hears it
        mortal()
        listening(completions.client())
        assert states(missed) == ["canceled"]

        cancel(row)
        announce([row.pk])
        assert states(subscription) == ["canceled"]


def test_unknown_id_is_waited_for_until_the_end(listener: CompletionListener) -> None:
    with listener.subscribe([uuid.uuid4()]) as subscription, pytest.raises(TimeoutError):
        subscription.ended.result(0.1)
