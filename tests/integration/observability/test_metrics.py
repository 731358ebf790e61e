"""What /metrics tells, to whom, and that what has been counted stays counted."""

from datetime import timedelta
from typing import Any

import pytest
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
    """One that answers: what is told of it would otherwise cost each test a second."""


def told() -> dict[tuple[str, ...], float]:
    """Each sample by its name and the values of its labels."""
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {
        (s.name, *(s.labels[label] for label in LABELS if label in s.labels)): s.value
        for family in families
        for s in family.samples
    }


def count_all() -> int:
    """As if the lag had passed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rollups, "LAG", timedelta(seconds=-60))
        return rollups.update()


@pytest.fixture
def counting(db: None) -> None:
    """The keeper has counted until five minutes ago."""
    Watermark.objects.create(name=rollups.WATERMARK, until=timezone.now() - timedelta(minutes=5))


# --- Who may read -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("said", "status"),
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
def test_metrics_with_a_token_are_for_whoever_shows_it(
    client: Client, db: None, settings: Any, said: str | None, status: int
) -> None:
    settings.METRICS_TOKEN = TOKEN

    response = client.get("/metrics", headers={"Authorization": said} if said else {})

    assert response.status_code == status
    assert response.headers["Content-Type"].startswith("text/plain")
    assert (b"foretell_broker_up" in response.content) == (status == 200)


@pytest.mark.parametrize(
    ("address", "development", "status"),
    [("127.0.0.1", True, 200), ("::1", True, 200), ("192.0.2.7", True, 404), ("127.0.0.1", False, 404)],
)
def test_metrics_without_a_token_are_for_a_developers_own_machine(
    db: None, settings: Any, address: str, development: bool, status: int
) -> None:
    settings.DEVELOPMENT = development

    assert Client(REMOTE_ADDR=address).get("/metrics").status_code == status


# --- The queue and the signs of life ----------------------------------------------------------------------------------
def test_queue_is_told_by_model_and_lane(iris: ModelVersion) -> None:
    make(iris, age=30)
    make(iris, age=10)
    make(iris, lane=Lane.BULK)
    make(iris, State.RUNNING)
    make(iris, State.SUCCEEDED)

    found = told()

    assert found["foretell_queued", "iris", "interactive"] == 2
    assert found["foretell_queued", "iris", "bulk"] == 1
    assert found["foretell_queued", "wine", "bulk"] == 0
    assert found["foretell_running", "iris", "interactive"] == 1
    assert 30 <= found["foretell_queued_oldest_seconds", "iris", "interactive"] < 40
    assert found["foretell_queued_oldest_seconds", "wine", "interactive"] == 0


def test_signs_of_life_are_told(iris: ModelVersion) -> None:
    preload.load(iris.pk)
    drain._beat_at = -drain.BEAT_SECONDS
    drain.beat("worker@here/1")
    drain.beat("worker@here/2")  # not so soon again
    Heartbeat.objects.beat("keeper", fallback=["bulk"])
    sent = {"caller": "canary", "source": Source.CANARY}
    make(iris, State.SUCCEEDED, age=20, **sent)
    make(iris, age=7, **sent)

    found = told()

    assert found["foretell_broker_up",] == 1
    assert [found["foretell_fallback_active", lane] for lane in ("interactive", "bulk")] == [0, 1]
    assert found["foretell_loader_bytes", "worker:worker@here/1"] == preload.loader.size > 0
    assert 0 <= found["foretell_heartbeat_age_seconds", "keeper"] < 5
    assert ("foretell_heartbeat_age_seconds", "worker:worker@here/2") not in found
    assert 20 <= found["foretell_canary_age_seconds", "interactive"] < 25
    assert 7 <= found["foretell_canary_delay_seconds", "interactive"] < 12
    assert ("foretell_canary_age_seconds", "bulk") not in found


def test_heartbeat_of_who_is_long_gone_is_forgotten(db: None) -> None:
    Heartbeat.objects.beat("worker:old")
    Heartbeat.objects.update(at=timezone.now() - timedelta(days=2))

    Heartbeat.objects.beat("worker:new")

    assert list(Heartbeat.objects.ages()) == ["worker:new"]


# --- What has ended ---------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("counting")
def test_what_ended_is_counted_by_state_and_by_time(iris: ModelVersion) -> None:
    claim = make(iris, State.SUCCEEDED, predict_ms=3.0).claim
    make(iris, State.SUCCEEDED, claim=claim, predict_ms=3.0)
    make(iris, State.FAILED, age=20, predict_ms=80.0)
    make(iris, State.CANCELED, started_at=None, claim=None)
    make(iris, State.SUCCEEDED, source=Source.CANARY)
    make(iris)

    assert count_all() == 4

    found = told()
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
def test_each_end_is_counted_once_and_removal_takes_nothing_away(iris: ModelVersion) -> None:
    first = make(iris, State.SUCCEEDED, age=30)
    assert rollups.update() == 1
    Prediction.objects.remove([first.pk])
    make(iris, State.SUCCEEDED)

    assert rollups.update() == 0  # too fresh: another may still come with an earlier time
    assert count_all() == 1
    assert count_all() == 0

    assert told()["foretell_settled_total", "iris", "succeeded"] == 2


def test_first_look_counts_nothing_and_costs_no_history(iris: ModelVersion) -> None:
    make(iris, State.SUCCEEDED, age=3600)

    assert rollups.update() == 0
    assert count_all() == 0
    assert not MetricHistogram.objects.exists()


def test_keeper_that_was_away_catches_up_a_stretch_at_a_time(
    iris: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    Watermark.objects.create(name=rollups.WATERMARK, until=timezone.now() - timedelta(hours=1))
    make(iris, State.SUCCEEDED, age=3000)
    make(iris, State.SUCCEEDED, age=60)

    counted = [rollups.update() for _ in range(4)]

    assert counted == [1, 0, 1, 0]


@pytest.mark.usefixtures("counting")
def test_of_two_keepers_one_counts(iris: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    make(iris, State.SUCCEEDED, age=30)
    seen = Watermark.objects.read(rollups.WATERMARK)
    assert rollups.update() == 1

    monkeypatch.setattr("predictions.models.metric_histogram.WatermarkQuerySet.read", lambda *_: seen)

    assert rollups.update() == 0
    assert told()["foretell_settled_total", "iris", "succeeded"] == 1


# --- What it costs ----------------------------------------------------------------------------------------------------
def without_index(plans: list[str]) -> list[str]:
    """The steps that read all of the predictions."""
    steps = (step for plan in plans for step in plan.splitlines() if "predictions_prediction" in step)
    return [step for step in steps if "Seq Scan" in step or ("SCAN" in step and "INDEX" not in step)]


def test_metrics_cost_the_same_for_any_history(crowd: ModelVersion) -> None:
    # A history is mostly older than what is looked at: for a tenth of a table, reading all of it would be right.
    Prediction.objects.filter(state=State.SUCCEEDED).update(finished_at=F("finished_at") - timedelta(days=1))
    count_rows()
    plans = plans_of(metrics.exposition)

    assert [plan for plan in plans if "predictions_prediction" in plan]
    assert without_index(plans) == []
    with statements() as few:
        metrics.exposition()
    make(crowd, State.SUCCEEDED, output=SETOSA)
    with statements() as many:
        metrics.exposition()
    assert len(few) == len(many) <= 14


def test_counting_uses_the_index_of_ends(crowd: ModelVersion) -> None:
    Watermark.objects.create(name=rollups.WATERMARK, until=timezone.now() - timedelta(seconds=40))

    plans = plans_of(rollups.update)

    assert [plan for plan in plans if "feed" in plan]
    assert without_index(plans) == []
