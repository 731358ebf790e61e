"""A message to the workers, over a network that fails."""

import time
from collections.abc import Iterator
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
    """What Celery's messages pass on the way to Redis; one has passed already."""
    with before(Path(urlsplit(redis_server).path)) as proxy:
        app = Celery(set_as_current=False)
        app.config_from_object("django.conf:settings", namespace="CELERY")
        app.conf.broker_url = f"redis://127.0.0.1:{proxy.port}/0"
        monkeypatch.setattr(notifications, "current_app", app)
        notifications.publish(Lane.INTERACTIVE)
        yield proxy
        app.close()


def test_silent_redis_is_not_waited_for(network: Proxy) -> None:
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
