"""The drain task, run in this process: with a real Celery process its timing could not be controlled."""

import uuid

import pytest
import redis
from django.utils import timezone
from pytest_django.fixtures import Settings

from predictions.models import Lane, Prediction, RegisteredModel, Source, State
from predictions.worker import drain


@pytest.mark.django_db(transaction=True)
def test_task_with_an_expired_time_slice_notifies_the_next_worker(
    registered: dict[str, RegisteredModel],
    clean_redis: redis.Redis,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A further claim might exceed the hard time limit of the task."""
    settings.MICRO_BATCH = 1
    monkeypatch.setattr(drain, "SLICE_SECONDS", 0.0)
    version_id = registered["iris"].champion_id
    Prediction.objects.bulk_create(
        Prediction(
            id=uuid.uuid4(), version_id=version_id, caller="test", source=Source.API, values=[5.1, 3.5, 1.4, 0.2],
            created_at=timezone.now(), deadline_at=timezone.now() + settings.PREDICTION_TIME,
        )
        for _ in range(3)
    )  # fmt: skip

    drain.drain_lane(Lane.INTERACTIVE)

    assert sorted(Prediction.objects.values_list("state", flat=True)) == [State.QUEUED, State.QUEUED, State.SUCCEEDED]
    assert clean_redis.llen(Lane.INTERACTIVE) == 1
