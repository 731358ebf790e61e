"""The worker's half, in this process and without Celery."""

import json
import time
from pathlib import Path
from typing import Any

import joblib
import pytest
import redis
from django.utils import timezone

from predictions.models import Lane, ModelVersion, Prediction, RegisteredModel, State
from predictions.queue import notifications
from predictions.serving.schema.errors import ModelUnavailable
from predictions.worker import drain
from tests.integration.conftest import IRIS, make, run_worker
from tests.support.estimators import POISON

OTHER = [6.7, 3.1, 5.6, 2.4]


def kinds_row(size: float) -> list[Any]:
    return [size, 2, "r", True, None, None]


def states() -> list[str]:
    return list(Prediction.objects.order_by("created_at").values_list("state", flat=True))


def test_serve_answers_what_the_estimator_answers(iris: ModelVersion, models_dir: Path) -> None:
    rows = [make(iris, values=values, age=age) for values, age in ((IRIS, 2), (OTHER, 1))]

    run_worker(iris)

    estimator = joblib.load(models_dir / "iris/versions/1/estimator.joblib")
    shares = estimator.predict_proba([IRIS, OTHER]).tolist()
    labels = iris.manifest["labels"]
    for row, share, position in zip(rows, shares, estimator.predict([IRIS, OTHER]).tolist(), strict=True):
        row.refresh_from_db()
        assert row.state == State.SUCCEEDED
        assert row.output is not None
        assert row.output["label"] == labels[position]
        # It serves as compiled: the same to the rounding of the last place.
        assert row.output["probabilities"] == pytest.approx(dict(zip(labels, share, strict=True)), rel=1e-9)
        assert row.attempts == 1
        assert row.predict_ms is not None
        assert row.predict_ms > 0


def test_serve_goes_on_until_nothing_is_queued(iris: ModelVersion, settings: Any) -> None:
    settings.MICRO_BATCH = 2
    for age in range(5):
        make(iris, age=age)

    run_worker(iris)

    assert states() == [State.SUCCEEDED] * 5
    assert Prediction.objects.values("claim").distinct().count() == 3


def test_serve_past_its_time_stops_after_one_claim(iris: ModelVersion, settings: Any) -> None:
    settings.MICRO_BATCH = 2
    for age in range(5):
        make(iris, age=age)

    assert drain.serve(iris.pk, Lane.INTERACTIVE, time.monotonic() - 1) is False
    assert states() == [State.SUCCEEDED] * 2 + [State.QUEUED] * 3


def test_serve_leaves_other_lanes_and_versions(registered: dict[str, RegisteredModel], iris: ModelVersion) -> None:
    wine = registered["wine"].champion
    assert wine
    make(iris, age=3)
    make(iris, age=2, lane=Lane.BULK)
    make(wine, age=1)

    run_worker(iris)

    assert states() == [State.SUCCEEDED, State.QUEUED, State.QUEUED]


def test_bad_row_among_good_ones_fails_alone(kinds: RegisteredModel) -> None:
    assert kinds.champion
    for age, size in ((3, 20.0), (2, POISON), (1, 22.0)):
        make(kinds.champion, values=kinds_row(size), age=age)

    run_worker(kinds.champion)

    rows = list(Prediction.objects.order_by("created_at"))
    assert [row.state for row in rows] == [State.SUCCEEDED, State.FAILED, State.SUCCEEDED]
    assert [row.output and row.output["value"] for row in rows] == [22.0, None, 24.0]
    assert [row.error_code for row in rows] == ["", "model_error", ""]


def test_version_that_cannot_be_opened_fails_its_rows_and_says_why(iris: ModelVersion, models_dir: Path) -> None:
    ModelVersion.objects.filter(pk=iris.pk).update(sha256="0" * 64)
    rows = [make(iris), make(iris)]

    run_worker(iris)

    for row in rows:
        row.refresh_from_db()
        assert (row.state, row.error_code, row.output) == (State.FAILED, "model_unavailable", None)
    iris.refresh_from_db()
    assert "registered is 000000" in iris.unavailable_reason


def test_examine_lets_a_repaired_version_serve(iris: ModelVersion) -> None:
    good = iris.sha256
    ModelVersion.objects.filter(pk=iris.pk).update(sha256="0" * 64)
    assert drain.examine(iris.pk) is False
    ModelVersion.objects.filter(pk=iris.pk).update(sha256=good)
    drain.described.cache_clear()

    assert drain.examine(iris.pk) is True

    iris.refresh_from_db()
    assert iris.unavailable_reason == ""


def test_row_canceled_while_it_runs_keeps_no_answer(iris: ModelVersion) -> None:
    row = make(iris)
    claim = Prediction.objects.claim(iris.pk, Lane.INTERACTIVE, 64)
    assert claim
    outcomes, spent = drain.answer(iris.pk, claim)
    Prediction.objects.filter(pk=row.pk).cancel()

    assert Prediction.objects.settle(claim, outcomes, spent) == 0

    row.refresh_from_db()
    assert (row.state, row.output) == (State.CANCELED, None)


def test_answer_ring_serves_and_lets_the_next_row_ring(iris: ModelVersion, clean_redis: redis.Redis) -> None:
    make(iris)
    notifications.ring(iris.pk, Lane.INTERACTIVE)
    assert clean_redis.llen(Lane.INTERACTIVE) == 1
    clean_redis.delete(Lane.INTERACTIVE)  # a worker has taken the message

    drain.drain_lane(iris.pk, Lane.INTERACTIVE)
    assert states() == [State.SUCCEEDED]

    notifications.ring(iris.pk, Lane.INTERACTIVE)
    assert clean_redis.llen(Lane.INTERACTIVE) == 1


def test_ring_while_one_is_outstanding_publishes_nothing(iris: ModelVersion, clean_redis: redis.Redis) -> None:
    assert [notifications.ring(iris.pk, Lane.INTERACTIVE) for _ in range(3)] == [True] * 3

    assert clean_redis.llen(Lane.INTERACTIVE) == 1
    message = json.loads(clean_redis.lindex(Lane.INTERACTIVE, 0))
    assert message["headers"]["task"] == notifications.SERVE


def test_answer_ring_at_the_end_of_its_slice_rings_for_the_next_worker(
    iris: ModelVersion, clean_redis: redis.Redis, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MICRO_BATCH = 1
    monkeypatch.setattr(drain, "SLICE_SECONDS", -1.0)
    for age in range(4):
        make(iris, age=age)

    drain.drain_lane(iris.pk, Lane.INTERACTIVE)

    assert states().count(State.QUEUED) == 3
    assert clean_redis.llen(Lane.INTERACTIVE) == 1


def test_ring_while_a_worker_attends_wakes_it_without_a_message(iris: ModelVersion, clean_redis: redis.Redis) -> None:
    notifications.attend(iris.pk, Lane.INTERACTIVE)

    notifications.ring(iris.pk, Lane.INTERACTIVE)
    notifications.ring(iris.pk, Lane.INTERACTIVE)

    assert clean_redis.llen(Lane.INTERACTIVE) == 0
    assert notifications.linger(iris.pk, Lane.INTERACTIVE) == iris.pk
    assert notifications.linger(iris.pk, Lane.INTERACTIVE) is None


def test_ring_after_the_worker_left_is_a_message(iris: ModelVersion, clean_redis: redis.Redis) -> None:
    notifications.attend(iris.pk, Lane.INTERACTIVE)
    notifications.leave(iris.pk, Lane.INTERACTIVE)

    notifications.ring(iris.pk, Lane.INTERACTIVE)

    assert clean_redis.llen(Lane.INTERACTIVE) == 1


def test_row_committed_while_the_worker_leaves_is_served(
    iris: ModelVersion, clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It rang while the sign stood, so no message was sent; the sign comes down after."""
    leave = notifications.leave

    def commit_and_leave(version_id: int, lane: str) -> None:
        make(iris)
        notifications.ring(version_id, lane)
        leave(version_id, lane)

    monkeypatch.setattr(notifications, "leave", commit_and_leave)

    drain.drain_lane(iris.pk, Lane.INTERACTIVE)

    assert states() == [State.SUCCEEDED]
    assert clean_redis.llen(Lane.INTERACTIVE) == 0


def test_full_claim_calls_for_help(iris: ModelVersion, clean_redis: redis.Redis, settings: Any) -> None:
    settings.MICRO_BATCH = 2
    called: list[tuple[int, str]] = []
    for age in range(3):
        make(iris, age=age)

    drain.serve(iris.pk, Lane.INTERACTIVE, time.monotonic() + 10, lambda *rung: called.append(rung))

    assert called == [(iris.pk, Lane.INTERACTIVE)]


def test_linger_makes_way_when_other_work_waits(iris: ModelVersion, clean_redis: redis.Redis) -> None:
    clean_redis.rpush(Lane.INTERACTIVE, b"{}")
    clean_redis.lpush(notifications._pushes(iris.pk, Lane.INTERACTIVE), 1)

    assert notifications.linger(iris.pk, Lane.INTERACTIVE) is None


def test_idle_worker_goes_where_another_version_rings(
    iris: ModelVersion,
    registered: dict[str, RegisteredModel],
    clean_redis: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = registered["wine"].champion
    assert other
    make(iris)
    linger, rung = notifications.linger, []

    def ring_meanwhile(version_id: int, lane: str) -> int | None:
        clean_redis.set(notifications._idle(lane), 1)
        if not rung:
            rung.append(make(other, values=[0.0] * 13))
            notifications.ring(other.pk, lane)
        return linger(version_id, lane)

    monkeypatch.setattr(notifications, "linger", ring_meanwhile)

    drain.drain_lane(iris.pk, Lane.INTERACTIVE)

    assert states() == [State.SUCCEEDED] * 2
    assert clean_redis.llen(Lane.INTERACTIVE) == 0


def test_errand_that_nobody_heard_of_is_taken_once(clean_redis: redis.Redis) -> None:
    clean_redis.set(notifications._idle(Lane.INTERACTIVE), 1)
    notifications.ring(77, Lane.INTERACTIVE)

    assert notifications.errand(Lane.INTERACTIVE) == 77
    assert notifications.errand(Lane.INTERACTIVE) is None


def test_nobody_idle_gets_no_errand(clean_redis: redis.Redis) -> None:
    clean_redis.set(notifications._idle(Lane.INTERACTIVE), 1)
    assert notifications.errand(Lane.INTERACTIVE) is None  # and is idle no more

    notifications.ring(78, Lane.INTERACTIVE)

    assert clean_redis.llen(Lane.INTERACTIVE) == 1


def test_errand_after_the_slice_is_rung_for_again(
    iris: ModelVersion, clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "SLICE_SECONDS", -1.0)
    clean_redis.lpush(notifications._errands(Lane.INTERACTIVE), 77)

    drain.drain_lane(iris.pk, Lane.INTERACTIVE)

    message = json.loads(clean_redis.lindex(Lane.INTERACTIVE, 0))
    assert message["headers"]["argsrepr"].startswith("[77")


def test_times_of_a_settled_row_are_in_order(iris: ModelVersion) -> None:
    row = make(iris, age=1)

    run_worker(iris)

    row.refresh_from_db()
    assert row.started_at
    assert row.finished_at
    assert row.created_at < row.started_at <= row.finished_at <= timezone.now()


def test_version_that_becomes_unavailable_while_it_predicts_fails_its_rows(
    iris: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*args: object) -> None:
        raise ModelUnavailable("the artefact is damaged")

    monkeypatch.setattr(drain, "predict", damaged)
    make(iris)

    run_worker(iris)

    assert list(Prediction.objects.values_list("state", "error_code")) == [(State.FAILED, "model_unavailable")]
    iris.refresh_from_db()
    assert iris.unavailable_reason == "the artefact is damaged"
