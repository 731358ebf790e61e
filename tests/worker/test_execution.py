"""Worker code in the test process, for timing that a real Celery process does not allow."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis
from django.utils import timezone
from pytest_django.fixtures import Settings

from predictions.models import Lane, Prediction, RegisteredModel, Source, State
from predictions.worker import drain
from predictions.worker.fallback_worker import FallbackWorker
from tests.support.stack import Stack


@contextmanager
def closing_standby() -> Iterator[FallbackWorker]:
    standby = FallbackWorker()
    try:
        yield standby
    finally:
        standby.stop()


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


def test_standby_may_take_longer_to_start_than_a_predict_call(
    stack: Stack, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a busy machine would kill each of them before it has imported its libraries."""
    for name in ("VAR_DIR", "MODELS_DIR", "DATABASE_URL"):
        monkeypatch.setenv(name, stack.env[name])
    settings.CELERY_TASK_TIME_LIMIT = 0.5  # importing scikit-learn alone takes longer
    with closing_standby() as standby:
        assert standby.serve(Lane.INTERACTIVE)
