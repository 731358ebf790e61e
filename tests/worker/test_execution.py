"""The drain task, run in this process: with a real Celery process its timing could not be controlled."""

import uuid

import pytest
import redis
from django.utils import timezone
from pytest_django.fixtures import Settings

from predictions.models import Lane, Prediction, RegisteredModel, Source, State
from predictions.worker import drain


@pytest.mark.django_db(transaction=True)
def test_task_whose_slice_is_over_leaves_the_rest_to_the_next(
    registered: dict[str, RegisteredModel],
    clean_redis: redis.Redis,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another claim, so late, would be killed at a limit that was meant for one predict call."""
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
