"""Notifications over a network that fails, and marks that are stale."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
from celery import Celery
from kombu.exceptions import OperationalError

from predictions.models import Lane
from predictions.queue import notifications
from tests.chaos.proxy import Proxy, before

LONGEST = 2.0


@pytest.fixture
def network(clean_redis: redis.Redis, redis_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy between Celery and Redis; it has passed one message."""
    with before(Path(urlsplit(redis_server).path)) as proxy:
        app = Celery(set_as_current=False)
        app.config_from_object("django.conf:settings", namespace="CELERY")
        app.conf.broker_url = f"redis://127.0.0.1:{proxy.port}/0"
        monkeypatch.setattr(notifications, "current_app", app)
        notifications.publish(Lane.INTERACTIVE)
        yield proxy
        app.close()


def test_silent_redis_is_given_up_in_time(network: Proxy) -> None:
    start = time.monotonic()
    with network.silent(), pytest.raises(OperationalError):
        notifications.publish(Lane.INTERACTIVE)
    assert time.monotonic() - start < LONGEST


def test_dropped_connection_costs_no_message(network: Proxy, clean_redis: redis.Redis) -> None:
    with network.cut():
        pass
    notifications.publish(Lane.INTERACTIVE)
    assert clean_redis.llen(Lane.INTERACTIVE) == 2


def test_redis_that_refuses_is_an_error_at_once(network: Proxy) -> None:
    start = time.monotonic()
    with network.cut(), pytest.raises(OperationalError):
        notifications.publish(Lane.INTERACTIVE)
    assert time.monotonic() - start < LONGEST


# --- Stale marks ------------------------------------------------------------------------------------------------------
def keep_for_ever(server: redis.Redis) -> None:
    for key in server.scan_iter():
        server.persist(key)


def keep_for_an_hour(server: redis.Redis) -> None:
    """The marks look like this after the clock of Redis was set back by an hour."""
    for key in server.scan_iter():
        server.expire(key, 3600)


@pytest.mark.parametrize("spoil", [keep_for_ever, keep_for_an_hour])
def test_stale_mark_of_a_worker_suppresses_no_message(
    clean_redis: redis.Redis, spoil: Callable[[redis.Redis], None]
) -> None:
    notifications.mark_attended(Lane.INTERACTIVE)
    spoil(clean_redis)

    notifications.notify(Lane.INTERACTIVE)

    assert clean_redis.llen(Lane.INTERACTIVE) == 1


@pytest.mark.parametrize("spoil", [keep_for_ever, keep_for_an_hour])
def test_stale_mark_of_a_message_suppresses_no_message(
    clean_redis: redis.Redis, spoil: Callable[[redis.Redis], None]
) -> None:
    notifications.notify(Lane.INTERACTIVE)
    spoil(clean_redis)

    notifications.notify(Lane.INTERACTIVE)
    notifications.notify(Lane.INTERACTIVE)

    assert clean_redis.llen(Lane.INTERACTIVE) == 2


def test_all_marks_expire(clean_redis: redis.Redis) -> None:
    notifications.notify(Lane.INTERACTIVE)
    notifications.mark_attended(Lane.INTERACTIVE)
    notifications.notify(Lane.INTERACTIVE)

    marks = [key for key in clean_redis.scan_iter() if clean_redis.ttl(key) == -1]

    assert b"interactive" in marks
    assert all(not key.startswith(b"foretell") for key in marks)


def test_clear_obstacles_without_redis_deletes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = redis.Redis(unix_socket_path="/nowhere/redis.sock", retry=None)
    monkeypatch.setattr(notifications, "client", lambda: dead)

    assert notifications.clear_obstacles(Lane.INTERACTIVE) == []
