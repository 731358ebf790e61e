"""One request waits for several predictions."""

import uuid

import pytest
import redis
from pytest_django.fixtures import Settings

from predictions.queue import completions
from tests.support.waiting import wait_until


@pytest.fixture
def listening(clean_redis: redis.Redis) -> None:
    """The listener of this process hears what is announced from now on."""
    channel = completions.CHANNEL
    with completions.waiters.expecting(uuid.uuid4(), 10):
        wait_until(lambda: clean_redis.pubsub_numsub(channel)[0][1] >= 1, 10, "a listener has subscribed")


@pytest.mark.usefixtures("listening")
def test_the_end_of_each_is_heard() -> None:
    ids = [uuid.uuid4() for _ in range(3)]
    with completions.waiters.expecting_any(ids, 10) as event:
        assert event
        for prediction_id in reversed(ids):
            assert not event.is_set()
            completions.announce([prediction_id])
            assert event.wait(10)
            event.clear()


def test_a_request_takes_one_place(redis_server: str, settings: Settings) -> None:
    settings.WAITERS_MAX = 1
    ids = [uuid.uuid4() for _ in range(3)]
    for _ in range(2):  # the place is given back
        with completions.waiters.expecting_any(ids, 10) as event:
            assert event
            with completions.waiters.expecting(ids[0], 10) as other:
                assert other is None
