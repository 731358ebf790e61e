"""Hearing of the end: who waits is woken, and who is not woken looks at the end of the wait."""

import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from predictions.models import ModelVersion, Prediction
from predictions.queue import completions, redis_client
from predictions.queue.completions import News, Place, Waiters, announce, wait, wait_for
from project.dev_redis import server_binary
from tests.integration.conftest import make, statements
from tests.support.announcements import listening
from tests.support.waiting import wait_until

LONG = 20.0


@pytest.fixture
def waiters(clean_redis: redis.Redis) -> Waiters:
    return Waiters()


def looks(answers: list[bool]) -> Callable[[], bool]:
    """Answers each look in turn, and keeps the rest for the test to see."""
    return lambda: answers.pop(0)


def test_waiter_is_woken_by_the_announcement_of_its_prediction(waiters: Waiters, clean_redis: redis.Redis) -> None:
    mine = uuid.uuid4()
    seen = threading.Event()

    def refresh_status() -> bool:
        return seen.is_set()

    with waiters.expecting(mine, LONG) as place:
        listening(clean_redis)
        seen.set()
        started = time.monotonic()
        announce([uuid.uuid4(), mine])

        assert wait(place, refresh_status, LONG) is True
    assert time.monotonic() - started < LONG / 2


def test_announcement_of_another_prediction_wakes_nobody(waiters: Waiters, clean_redis: redis.Redis) -> None:
    with waiters.expecting(uuid.uuid4(), LONG) as place, waiters.expecting(other := uuid.uuid4(), LONG) as awaited:
        listening(clean_redis)
        assert place
        assert awaited
        wait_until(place.is_set, 5, "all were woken once, when the listener began")
        place.clear()
        awaited.clear()

        announce([other])

        assert awaited.wait(5)
        assert not place.is_set()


def test_announcement_lost_is_made_up_for_at_the_end_of_the_wait() -> None:
    asked = [True]

    assert wait(Place(), looks(asked), 0.05) is True
    assert asked == []


def test_wait_looks_only_when_woken_and_at_the_end() -> None:
    place = Place()
    place.set()
    asked = [False, False, True]

    assert wait(place, looks(asked), 0.05) is False
    assert asked == [True]


def test_nobody_waits_for_no_time(waiters: Waiters) -> None:
    with waiters.expecting(uuid.uuid4(), 0) as place:
        assert place is None
        assert wait(place, looks([]), LONG) is False


def test_as_many_wait_as_may(waiters: Waiters, settings: Any) -> None:
    settings.WAITERS_MAX = 1
    with waiters.expecting(uuid.uuid4(), LONG) as first, waiters.expecting(uuid.uuid4(), LONG) as second:
        assert (first is None, second is None) == (False, True)
    with waiters.expecting(uuid.uuid4(), LONG) as third:
        assert third is not None


def test_place_of_a_waiter_is_free_again_after_an_error(waiters: Waiters, settings: Any) -> None:
    settings.WAITERS_MAX = 1
    with pytest.raises(RuntimeError), waiters.expecting(uuid.uuid4(), LONG):
        raise RuntimeError
    with waiters.expecting(uuid.uuid4(), LONG) as place:
        assert place is not None


def test_waiter_of_several_hears_of_each_and_takes_one_place(
    waiters: Waiters, clean_redis: redis.Redis, settings: Any
) -> None:
    settings.WAITERS_MAX = 2
    ids = [uuid.uuid4(), uuid.uuid4()]
    with waiters.expecting_any(ids, LONG) as place, waiters.expecting(ids[0], LONG) as other:
        assert other is not None
        assert place is not None
        listening(clean_redis)
        wait_until(place.is_set, 5, "all were woken once, when the listener began")
        for prediction_id in ids:
            place.clear()
            announce([prediction_id])
            assert place.wait(5)
    assert waiters._places == {}


@pytest.mark.django_db(transaction=True)
def test_waiter_sees_what_another_thread_settled(
    waiters: Waiters, clean_redis: redis.Redis, iris: ModelVersion
) -> None:
    row = make(iris)
    with waiters.expecting(row.pk, LONG) as place:
        listening(clean_redis)
        assert Prediction.objects.filter(pk=row.pk).cancel() == [row.pk]
        announce([row.pk])

        assert wait_for(row, place, LONG) is True
    assert row.state == "canceled"


# --- A Redis that dies and comes back ---------------------------------------------------------------------------------
@pytest.fixture
def mortal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts a Redis of its own, which the product then uses; each call starts it anew."""
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


def test_waiter_hears_again_when_redis_is_back(mortal: Callable[[], "subprocess.Popen[bytes]"]) -> None:
    waiters = Waiters()
    first = mortal()
    with waiters.expecting(mine := uuid.uuid4(), LONG) as place:
        assert place
        listening(completions.client())
        first.kill()
        first.wait()
        announce([mine])  # to nobody
        mortal()
        listening(completions.client())

        wait_until(place.is_set, 10, "all were woken once, for what went unheard")
        place.clear()
        announce([mine])
        assert place.wait(10)


# --- News: one read for all -------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_news_are_read_once_for_all_who_wait(iris: ModelVersion) -> None:
    first, second = make(iris), make(iris)
    Prediction.objects.cancel()
    news = News([first.pk.hex, second.pk.hex])

    with statements() as asked:
        assert first.refresh_status(news.of(first.pk))
        assert second.refresh_status(news.of(second.pk))

    assert len(asked) == 1
    assert (first.state, second.state) == ("canceled", "canceled")


@pytest.mark.django_db
def test_old_news_are_no_news(iris: ModelVersion) -> None:
    row = make(iris)
    place = Place()
    place.news = News([row.pk.hex])

    assert not row.refresh_status(place.seen(row.pk))
    Prediction.objects.cancel()

    assert row.refresh_status(place.seen(row.pk))
