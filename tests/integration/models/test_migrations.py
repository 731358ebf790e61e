"""An existing database keeps its data when it migrates."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

pytestmark = pytest.mark.django_db(transaction=True)

FIRST = [("predictions", "0001_initial")]


def migrate(targets: list[tuple[str, str]]) -> Any:
    executor = MigrationExecutor(connection)
    executor.migrate(targets)
    return executor.loader.project_state(targets).apps


@pytest.fixture
def latest() -> Iterator[list[tuple[str, str]]]:
    targets = [node for node in MigrationExecutor(connection).loader.graph.leaf_nodes() if node[0] == "predictions"]
    try:
        yield targets
    finally:
        migrate(targets)


def old_row(apps: Any, key: str | None, age: timedelta = timedelta(0)) -> uuid.UUID:
    get = apps.get_model
    model, _ = get("predictions", "RegisteredModel").objects.get_or_create(name="m", title="M", task="classification")
    version, _ = get("predictions", "ModelVersion").objects.get_or_create(
        registered_model=model, number=1, defaults={"manifest": {}, "created_at": timezone.now()}
    )
    created = timezone.now() - age
    row = get("predictions", "Prediction").objects.create(
        id=uuid.uuid4(), version=version, caller="visitor:a", source="api", values=[1.0], created_at=created,
        deadline_at=created + timedelta(seconds=60), idempotency_key=key, request_hash="h" if key else "",
    )  # fmt: skip
    return uuid.UUID(str(row.pk))


def test_existing_database_keeps_rows_recent_keys_and_histograms(latest: list[tuple[str, str]]) -> None:
    old = migrate(FIRST)
    keyed, plain = old_row(old, "k"), old_row(old, None)
    expired = old_row(old, "ancient", timedelta(hours=25))
    old.get_model("predictions", "Tally").objects.create(name="total", model="m", count=3, sum=1.5, buckets={"1.0": 3})
    old.get_model("predictions", "Watermark").objects.create(name="tallies", until=timezone.now())

    new = migrate(latest)

    rows = new.get_model("predictions", "Prediction").objects
    assert set(rows.values_list("pk", flat=True)) == {keyed, plain, expired}
    assert set(rows.values_list("state", "attempts")) == {("queued", 0)}
    keys = new.get_model("predictions", "IdempotencyKey").objects.values_list("caller", "key", "prediction_id")
    assert list(keys) == [("visitor:a", "k", keyed)]
    histogram = new.get_model("predictions", "MetricHistogram").objects.get()
    assert (histogram.count, histogram.sum, histogram.buckets) == (3, 1.5, {"1.0": 3})
    assert new.get_model("predictions", "Watermark").objects.get().name == "histograms"


def test_migration_back_returns_the_keys_to_their_rows(latest: list[tuple[str, str]]) -> None:
    keyed = old_row(migrate(FIRST), "k")
    migrate(latest)

    old = migrate(FIRST)

    kept = old.get_model("predictions", "Prediction").objects.get()
    assert (kept.pk, kept.idempotency_key, kept.request_hash) == (keyed, "k", "h")
