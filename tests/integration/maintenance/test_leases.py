"""Leases and deadlines that have passed."""

import json
from datetime import timedelta

import pytest
import redis
from django.conf import settings
from django.utils import timezone

from predictions.maintenance import leases
from predictions.models import ModelVersion, Prediction, State
from predictions.queue import completions
from tests.integration.conftest import make

PAST = timedelta(seconds=-1)


def test_sweep_with_nothing_to_do_changes_nothing(iris: ModelVersion, clean_redis: redis.Redis) -> None:
    make(iris, age=60)
    make(iris, State.RUNNING)

    assert leases.sweep() == {"requeued": 0, "lost": 0, "expired": 0}
    assert list(Prediction.objects.order_by("created_at").values_list("state", flat=True)) == ["queued", "running"]


def test_sweep_ends_late_and_lost_rows_and_announces_them(iris: ModelVersion, clean_redis: redis.Redis) -> None:
    past = timezone.now() + PAST
    late = make(iris, deadline_at=past)
    lost = make(iris, State.RUNNING, claimed_until=past, attempts=settings.MAX_ATTEMPTS)
    with clean_redis.pubsub(ignore_subscribe_messages=True) as channel:
        channel.subscribe(completions.CHANNEL)
        channel.get_message(timeout=1)

        done = leases.sweep()

        message = channel.get_message(timeout=1)
    assert done == {"requeued": 0, "lost": 1, "expired": 1}
    assert message
    assert json.loads(message["data"]) == [lost.pk.hex, late.pk.hex]


def test_sweep_requeues_rows_of_a_dead_worker(iris: ModelVersion, clean_redis: redis.Redis) -> None:
    row = make(iris, State.RUNNING, age=90, claimed_until=timezone.now() + PAST)

    assert leases.sweep() == {"requeued": 1, "lost": 0, "expired": 0}
    row.refresh_from_db()
    assert row.state == State.QUEUED


@pytest.mark.usefixtures("redis_away")
def test_sweep_without_redis_ends_late_rows(iris: ModelVersion) -> None:
    make(iris, deadline_at=timezone.now() + PAST)

    assert leases.sweep()["expired"] == 1
