"""Notifications that are repeated, and versions that are examined again."""

import json

import redis

from predictions.maintenance import examination, renotify
from predictions.models import Lane, ModelVersion, RegisteredModel
from predictions.queue import notifications
from tests.integration.conftest import make


def test_notify_again_notifies_once_for_each_lane_that_waits(
    registered: dict[str, RegisteredModel], iris: ModelVersion, clean_redis: redis.Redis
) -> None:
    wine = registered["wine"].champion
    assert wine
    for _ in range(3):
        make(iris, age=60)
    make(iris, age=60, lane=Lane.BULK)
    make(wine, age=60)
    make(wine, age=0, lane=Lane.BULK)

    assert renotify.notify_again() == {"reminded": 2}
    assert (clean_redis.llen(Lane.INTERACTIVE), clean_redis.llen(Lane.BULK)) == (1, 1)


def test_notify_again_does_not_flood_a_slow_queue(iris: ModelVersion, clean_redis: redis.Redis) -> None:
    make(iris, age=60)
    clean_redis.rpush(Lane.INTERACTIVE, *[b"{}"] * notifications.ENOUGH_MESSAGES)

    renotify.notify_again()

    assert clean_redis.llen(Lane.INTERACTIVE) == notifications.ENOUGH_MESSAGES


def test_notify_again_sends_no_second_message_while_one_is_under_way(
    iris: ModelVersion, clean_redis: redis.Redis
) -> None:
    make(iris, age=60)

    renotify.notify_again()
    renotify.notify_again()

    assert clean_redis.llen(Lane.INTERACTIVE) == 1


def test_examine_asks_for_champions_that_do_not_serve(iris: ModelVersion, clean_redis: redis.Redis) -> None:
    examination.examine()
    assert clean_redis.llen(Lane.INTERACTIVE) == 0

    ModelVersion.objects.mark_unavailable(iris.pk, "broken")
    examination.examine()

    assert clean_redis.llen(Lane.INTERACTIVE) == 1
    message = json.loads(clean_redis.lindex(Lane.INTERACTIVE, 0))
    assert message["headers"]["task"] == notifications.EXAMINE
