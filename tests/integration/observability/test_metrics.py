"""The metrics of /metrics: access, queue, finished predictions, and database cost."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from predictions.maintenance import rollups
from predictions.models import Heartbeat, Lane, MetricHistogram, ModelVersion, Prediction, Source, State, Watermark
from predictions.observability import metrics
from predictions.worker import drain, preload
from tests.integration.conftest import SETOSA, make, statements
from tests.support.query_plans import count_rows, plans_of
from tests.support.site_client import Client

LABELS = ("process", "model", "lane", "state", "le")
TOKEN = "a-token-for-prometheus"


@pytest.fixture(autouse=True)
def _redis(redis_server: str) -> None:
    """A running Redis. Without it each scrape waits for a second."""


def scrape() -> dict[tuple[str, ...], float]:
    """The value of each sample, by its name and the values of its labels."""
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {
        (s.name, *(s.labels[label] for label in LABELS if label in s.labels)): s.value
        for family in families
        for s in family.samples
    }


def count_all() -> int:
    """Run the rollup without its lag."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rollups, "LAG", timedelta(seconds=-60))
        return rollups.update()


@pytest.fixture
def counting(db: None) -> None:
    """The last rollup was five minutes ago."""
    Watermark.objects.create(name=rollups.WATERMARK, until=timezone.now() - timedelta(minutes=5))


# --- Access ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer  {TOKEN}", 200),
        ("Bearer another", 401),
        (f"Basic {TOKEN}", 401),
        (TOKEN, 401),
        ("Bearer \xe9", 401),
        (None, 401),
    ],
)
def test_metrics_with_a_token_need_it(client: Client, db: None, settings: Any, header: str | None, status: int) -> None:
    settings.METRICS_TOKEN = TOKEN

    response = client.get("/metrics", headers={"Authorization": header} if header else {})

    assert response.status_code == status
    assert response.headers["Content-Type"].startswith("text/plain")
    assert (b"foretell_broker_up" in response.content) == (status == 200)


@pytest.mark.parametrize(
    ("address", "development", "status"),
    [("127.0.0.1", True, 200), ("::1", True, 200), ("192.0.2.7", True, 404), ("127.0.0.1", False, 404)],
)
def test_metrics_without_a_token_are_local_and_for_development_only(
    db: None, settings: Any, address: str, development: bool, status: int
) -> None:
    settings.DEVELOPMENT = development

    assert Client(REMOTE_ADDR=address).get("/metrics").status_code == status


# --- The queue and the signs of life --------------------------------------------------------------------------------
def test_queue_is_told_by_model_and_lane(iris: ModelVersion) -> None:
    make(iris, age=30)
    make(iris, age=10)
    make(iris, lane=Lane.BULK)
    make(iris, State.RUNNING)
    make(iris, State.SUCCEEDED)

    found = scrape()

    assert found["foretell_queued", "iris", "interactive"] == 2
    assert found["foretell_queued", "iris", "bulk"] == 1
    assert found["foretell_queued", "wine", "bulk"] == 0
    assert found["foretell_running", "iris", "interactive"] == 1
    assert 30 <= found["foretell_queued_oldest_seconds", "iris", "interactive"] < 40
    assert found["foretell_queued_oldest_seconds", "wine", "interactive"] == 0


def test_broker_heartbeats_and_canaries_are_exposed(iris: ModelVersion) -> None:
    preload.load(iris.pk, iris.sha256)
    drain._beat_at = -drain.BEAT_SECONDS
    drain.beat("worker@here/1")
    drain.beat("worker@here/2")  # too soon: not stored
    Heartbeat.objects.beat("keeper", fallback=["bulk"])
    sent = {"caller": "canary", "source": Source.CANARY}
    make(iris, State.SUCCEEDED, age=20, **sent)
    make(iris, age=7, **sent)

    found = scrape()

    assert found["foretell_broker_up",] == 1
    assert [found["foretell_fallback_active", lane] for lane in ("interactive", "bulk")] == [0, 1]
    assert found["foretell_loader_bytes", "worker:worker@here/1"] == preload.loader.size > 0
    assert found["foretell_loader_loads_total", "worker:worker@here/1"] == preload.loader.loads > 0
    assert found["foretell_loader_evictions_total", "worker:worker@here/1"] == preload.loader.evictions
    assert 0 <= found["foretell_heartbeat_age_seconds", "keeper"] < 5
    assert ("foretell_heartbeat_age_seconds", "worker:worker@here/2") not in found
    assert 20 <= found["foretell_canary_age_seconds", "interactive"] < 25
    assert 7 <= found["foretell_canary_delay_seconds", "interactive"] < 12
    assert ("foretell_canary_age_seconds", "bulk") not in found


def test_old_heartbeats_are_deleted(db: None) -> None:
    Heartbeat.objects.beat("worker:old")
    Heartbeat.objects.update(at=timezone.now() - timedelta(days=2))

    Heartbeat.objects.beat("worker:new")

    assert list(Heartbeat.objects.ages()) == ["worker:new"]


# --- Finished predictions -------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("counting")
def test_finished_predictions_are_counted_by_state_and_duration(iris: ModelVersion) -> None:
    claim = make(iris, State.SUCCEEDED, predict_ms=3.0).claim
    make(iris, State.SUCCEEDED, claim=claim, predict_ms=3.0)
    make(iris, State.FAILED, age=20, predict_ms=80.0)
    make(iris, State.CANCELED, started_at=None, claim=None)
    make(iris, State.SUCCEEDED, source=Source.CANARY)
    make(iris)

    assert count_all() == 4

    found = scrape()
    assert found["foretell_settled_total", "iris", "succeeded"] == 2
    assert found["foretell_settled_total", "iris", "failed"] == 1
    assert found["foretell_settled_total", "iris", "canceled"] == 1
    assert found["foretell_total_seconds_count", "iris", "succeeded"] == 2
    assert found["foretell_total_seconds_sum", "iris", "failed"] == pytest.approx(1.0)
    assert found["foretell_predict_seconds_bucket", "iris", "0.005"] == 2
    assert found["foretell_predict_seconds_bucket", "iris", "0.05"] == 2
    assert found["foretell_predict_seconds_bucket", "iris", "0.1"] == 3
    assert found["foretell_predict_seconds_bucket", "iris", "+Inf"] == 3
    assert found["foretell_queue_seconds_count", "iris"] == 3
    assert found["foretell_claim_rows_bucket", "iris", "1.0"] == 1
    assert found["foretell_claim_rows_bucket", "iris", "2.0"] == 2
    assert found["foretell_claim_rows_sum", "iris"] == 3


@pytest.mark.usefixtures("counting")
def test_each_prediction_is_counted_once_and_stays_counted_after_removal(iris: ModelVersion) -> None:
    first = make(iris, State.SUCCEEDED, age=30)
    assert rollups.update() == 1
    Prediction.objects.remove([first.pk])
    make(iris, State.SUCCEEDED)

    assert rollups.update() == 0  # within the lag: a prediction with an earlier time may still be committed
    assert count_all() == 1
    assert count_all() == 0

    assert scrape()["foretell_settled_total", "iris", "succeeded"] == 2


def test_first_rollup_counts_nothing(iris: ModelVersion) -> None:
    make(iris, State.SUCCEEDED, age=3600)

    assert rollups.update() == 0
    assert count_all() == 0
    assert not MetricHistogram.objects.exists()


def test_second_rollup_counts_what_ended_since_the_first(iris: ModelVersion) -> None:
    rollups.update()
    make(iris, State.SUCCEEDED)

    assert count_all() == 1
    assert scrape()["foretell_settled_total", "iris", "succeeded"] == 1


def test_rollup_catches_up_in_steps(iris: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    Watermark.objects.create(name=rollups.WATERMARK, until=timezone.now() - timedelta(hours=1))
    make(iris, State.SUCCEEDED, age=3000)
    make(iris, State.SUCCEEDED, age=60)

    counted = [rollups.update() for _ in range(4)]

    assert counted == [1, 0, 1, 0]


@pytest.mark.usefixtures("counting")
def test_concurrent_rollups_count_once(iris: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    make(iris, State.SUCCEEDED, age=30)
    seen = Watermark.objects.read(rollups.WATERMARK)
    assert rollups.update() == 1

    monkeypatch.setattr("predictions.models.metric_histogram.WatermarkQuerySet.read", lambda *_: seen)

    assert rollups.update() == 0
    assert scrape()["foretell_settled_total", "iris", "succeeded"] == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("counting")
def test_rollup_holds_no_transaction_while_it_reads(iris: ModelVersion) -> None:
    """SQLite has one writer at a time: no prediction would be accepted while thousands of rows are read."""
    make(iris, State.SUCCEEDED, age=30)
    reads: list[bool] = []

    def note(execute: Any, sql: str, *context: Any) -> Any:
        if sql.startswith("SELECT") and "predictions_prediction" in sql:
            reads.append(connection.in_atomic_block)
        return execute(sql, *context)

    with connection.execute_wrapper(note):
        assert rollups.update() == 1

    assert reads
    assert not any(reads)


# --- Database cost --------------------------------------------------------------------------------------------------
def full_scans(plans: list[str]) -> list[str]:
    """The steps that read the whole table of predictions."""
    steps = (step for plan in plans for step in plan.splitlines() if "predictions_prediction" in step)
    return [step for step in steps if "Seq Scan" in step or ("SCAN" in step and "INDEX" not in step)]


def test_scrape_does_not_read_the_history(crowd: ModelVersion) -> None:
    # Most of a history is older than the queried time. If a tenth were recent, a full scan would be the best plan.
    Prediction.objects.filter(state=State.SUCCEEDED).update(finished_at=F("finished_at") - timedelta(days=1))
    count_rows()
    plans = plans_of(metrics.exposition)

    assert [plan for plan in plans if "predictions_prediction" in plan]
    assert full_scans(plans) == []
    with statements() as few:
        metrics.exposition()
    make(crowd, State.SUCCEEDED, output=SETOSA)
    with statements() as many:
        metrics.exposition()
    assert len(few) == len(many) <= 14


def test_rollup_uses_the_index_of_finished_predictions(crowd: ModelVersion) -> None:
    Watermark.objects.create(name=rollups.WATERMARK, until=timezone.now() - timedelta(seconds=40))

    plans = plans_of(rollups.update)

    assert [plan for plan in plans if "feed" in plan]
    assert full_scans(plans) == []
