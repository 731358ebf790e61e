"""The worker's part of a prediction, in this process and without Celery."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import joblib
import pytest
import redis
from django.utils import timezone

from predictions.batches import execution
from predictions.models import Lane, ModelVersion, Prediction, RegisteredModel, State
from predictions.queue import notifications
from predictions.serving.schema.errors import ModelUnavailable
from predictions.worker import drain, preload
from tests.integration.conftest import IRIS, make, run_worker
from tests.support.estimators import POISON
from tests.support.waiting import wait_until

OTHER = [6.7, 3.1, 5.6, 2.4]


@pytest.fixture(autouse=True)
def long_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """No slice ends by itself, however busy the machine is."""
    monkeypatch.setattr(drain, "SLICE_SECONDS", 60.0)


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
        # The compiled estimator serves: the probabilities are equal up to rounding.
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

    assert drain.serve(Lane.INTERACTIVE, time.monotonic() - 1) is False
    assert states() == [State.SUCCEEDED] * 2 + [State.QUEUED] * 3


def test_serve_leaves_other_lanes(iris: ModelVersion) -> None:
    make(iris, age=3)
    make(iris, age=2, lane=Lane.BULK)

    run_worker(iris)

    assert states() == [State.SUCCEEDED, State.QUEUED]


# --- Several versions in one claim ------------------------------------------------------------------------------------
@pytest.fixture
def wine(registered: dict[str, RegisteredModel]) -> ModelVersion:
    version = registered["wine"].champion
    assert version
    return version


def wine_row(wine: ModelVersion, **fields: Any) -> Prediction:
    example = wine.registered_model.description["examples"][0]["values"]
    return make(wine, values=[example[name] for name in wine.signature.names], **fields)


@pytest.fixture
def predicted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, list[str]]]:
    """For each predict call: the version, and the states of all rows, oldest first, when it began."""
    calls: list[tuple[int, list[str]]] = []
    answer = drain.answer

    def observed(version_id: int, claim: Any) -> Any:
        calls.append((version_id, states()))
        return answer(version_id, claim)

    monkeypatch.setattr(drain, "answer", observed)
    return calls


def expect(monkeypatch: pytest.MonkeyPatch, **milliseconds: float) -> None:
    """Set the times of the last predict calls, by the name of the model."""
    names = ModelVersion.objects.values_list("registered_model__name", "pk")
    monkeypatch.setattr(drain, "_last_ms", {pk: milliseconds.get(name, 0.1) for name, pk in names})


def test_rows_of_several_versions_are_each_answered_by_their_own(iris: ModelVersion, wine: ModelVersion) -> None:
    rows = [make(iris, age=4), wine_row(wine, age=3), make(iris, age=2), wine_row(wine, age=1)]

    run_worker(iris)

    for row in rows:
        row.refresh_from_db()
        assert row.output is not None
        assert row.output["label"] in row.version.manifest["labels"]
    assert len({row.claim for row in rows}) == 1


def test_answers_are_announced_before_the_next_claim(
    iris: ModelVersion, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MICRO_BATCH = 1
    make(iris, age=2), make(iris, age=1)
    when_announced: list[list[str]] = []
    monkeypatch.setattr(drain.completions, "announce", lambda *_: when_announced.append(states()))

    run_worker(iris)

    assert when_announced == [["succeeded", "queued"], ["succeeded", "succeeded"]]


def test_quick_versions_are_predicted_and_settled_before_a_long_one(
    iris: ModelVersion,
    wine: ModelVersion,
    predicted: list[tuple[int, list[str]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expect(monkeypatch, wine=1000.0)
    wine_row(wine, age=3)
    make(iris, age=2)

    run_worker(iris)

    assert predicted == [
        (iris.pk, [State.RUNNING, State.RUNNING]),
        (wine.pk, [State.RUNNING, State.SUCCEEDED]),
    ]


def test_version_whose_predict_raises_spares_the_others(
    iris: ModelVersion, wine: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect(monkeypatch)
    wine_row(wine, age=3)
    make(iris, age=2)
    predict = drain.predict

    def starved(loaded: Any, rows: Any) -> Any:
        if loaded.manifest.model == "wine":
            raise MemoryError
        return predict(loaded, rows)

    monkeypatch.setattr(drain, "predict", starved)

    with pytest.raises(MemoryError):
        drain.serve(Lane.INTERACTIVE, time.monotonic() + 10)

    assert states() == [State.RUNNING, State.SUCCEEDED]


def test_long_version_calls_for_help_before_it_begins(
    iris: ModelVersion,
    clean_redis: redis.Redis,
    predicted: list[tuple[int, list[str]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expect(monkeypatch, iris=1000.0)
    make(iris)
    called: list[int] = []

    drain.serve(Lane.INTERACTIVE, time.monotonic() + 10, lambda _: called.append(len(predicted)))

    assert called == [0]


def test_call_for_help_repeats_a_notification_that_was_not_seen(clean_redis: redis.Redis) -> None:
    notifications.mark_attended(Lane.INTERACTIVE)
    notifications.notify(Lane.INTERACTIVE)
    assert clean_redis.llen(Lane.INTERACTIVE) == 0

    drain.call_for_help(Lane.INTERACTIVE)

    assert clean_redis.llen(Lane.INTERACTIVE) == 1


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
    assert preload.examine(iris.pk) is False
    ModelVersion.objects.filter(pk=iris.pk).update(sha256=good)

    assert preload.examine(iris.pk) is True

    iris.refresh_from_db()
    assert iris.unavailable_reason == ""


def test_row_canceled_while_it_runs_keeps_no_answer(iris: ModelVersion) -> None:
    row = make(iris)
    claim = Prediction.objects.claim(Lane.INTERACTIVE, 64)
    assert claim
    done = drain.answer(iris.pk, claim)
    Prediction.objects.filter(pk=row.pk).cancel()

    assert Prediction.objects.settle([done]).count == 0

    row.refresh_from_db()
    assert (row.state, row.output) == (State.CANCELED, None)


def test_answer_ring_serves_and_lets_the_next_row_ring(iris: ModelVersion, clean_redis: redis.Redis) -> None:
    make(iris)
    notifications.notify(Lane.INTERACTIVE)
    assert clean_redis.llen(Lane.INTERACTIVE) == 1
    clean_redis.delete(Lane.INTERACTIVE)  # a worker has taken the message

    drain.drain_lane(Lane.INTERACTIVE)
    assert states() == [State.SUCCEEDED]

    notifications.notify(Lane.INTERACTIVE)
    assert clean_redis.llen(Lane.INTERACTIVE) == 1


def test_ring_while_one_is_outstanding_publishes_nothing(iris: ModelVersion, clean_redis: redis.Redis) -> None:
    assert [notifications.notify(Lane.INTERACTIVE) for _ in range(3)] == [True] * 3

    assert clean_redis.llen(Lane.INTERACTIVE) == 1
    message = json.loads(clean_redis.lindex(Lane.INTERACTIVE, 0))
    assert message["headers"]["task"] == notifications.DRAIN


def test_answer_ring_at_the_end_of_its_slice_rings_for_the_next_worker(
    iris: ModelVersion, clean_redis: redis.Redis, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MICRO_BATCH = 1
    monkeypatch.setattr(drain, "SLICE_SECONDS", -1.0)
    for age in range(4):
        make(iris, age=age)

    drain.drain_lane(Lane.INTERACTIVE)

    assert states().count(State.QUEUED) == 3
    assert clean_redis.llen(Lane.INTERACTIVE) == 1


def test_ring_while_a_worker_attends_wakes_it_without_a_message(iris: ModelVersion, clean_redis: redis.Redis) -> None:
    notifications.mark_attended(Lane.INTERACTIVE)

    notifications.notify(Lane.INTERACTIVE)
    notifications.notify(Lane.INTERACTIVE)

    assert clean_redis.llen(Lane.INTERACTIVE) == 0
    assert notifications.wait_for_work(Lane.INTERACTIVE) is True
    assert notifications.wait_for_work(Lane.INTERACTIVE) is False


def test_ring_after_the_worker_left_is_a_message(iris: ModelVersion, clean_redis: redis.Redis) -> None:
    notifications.mark_attended(Lane.INTERACTIVE)
    notifications.clear_attended(Lane.INTERACTIVE)

    notifications.notify(Lane.INTERACTIVE)

    assert clean_redis.llen(Lane.INTERACTIVE) == 1


def test_row_committed_while_the_worker_leaves_is_served(
    iris: ModelVersion, clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The notification comes while the lane is marked as attended, so no message is sent. Then the mark is cleared."""
    clear = notifications.clear_attended

    def commit_and_clear(lane: str) -> bool:
        make(iris)
        notifications.notify(lane)
        return clear(lane)

    monkeypatch.setattr(notifications, "clear_attended", commit_and_clear)
    expect(monkeypatch)

    drain.drain_lane(Lane.INTERACTIVE)

    assert states() == [State.SUCCEEDED]
    assert clean_redis.llen(Lane.INTERACTIVE) == 0


def test_full_claim_calls_for_help(
    iris: ModelVersion, clean_redis: redis.Redis, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MICRO_BATCH = 2
    expect(monkeypatch)
    monkeypatch.setattr(drain, "BUSY_MS", 60_000)  # only the size of a claim counts here
    called: list[str] = []
    for age in range(3):
        make(iris, age=age)

    drain.serve(Lane.INTERACTIVE, time.monotonic() + 10, called.append)

    assert called == [Lane.INTERACTIVE]


def commit_during_the_next_call(monkeypatch: pytest.MonkeyPatch, commit: Callable[[], object]) -> None:
    predict, waiting = drain.predict, [commit]

    def predict_later(*args: Any) -> Any:
        if waiting:
            waiting.pop()()
        return predict(*args)

    monkeypatch.setattr(drain, "predict", predict_later)


@pytest.mark.parametrize(("will_wait", "later"), [(True, State.QUEUED), (False, State.SUCCEEDED)])
def test_worker_that_will_wait_leaves_later_rows_to_their_notification(
    iris: ModelVersion, monkeypatch: pytest.MonkeyPatch, will_wait: bool, later: State
) -> None:
    expect(monkeypatch)
    make(iris)
    commit_during_the_next_call(monkeypatch, lambda: make(iris))

    assert drain.serve(Lane.INTERACTIVE, time.monotonic() + 10, will_wait=will_wait) is True

    assert states() == [State.SUCCEEDED, later]


def test_row_that_was_committed_during_a_call_is_served_at_once(
    iris: ModelVersion, clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect(monkeypatch)
    make(iris)

    def commit() -> None:
        make(iris)
        notifications.notify(Lane.INTERACTIVE)

    commit_during_the_next_call(monkeypatch, commit)
    waited: list[bool] = []
    wait = notifications.wait_for_work

    def wait_and_note(lane: str) -> bool:
        waited.append(wait(lane))
        return waited[-1]

    monkeypatch.setattr(notifications, "wait_for_work", wait_and_note)

    drain.drain_lane(Lane.INTERACTIVE)

    assert states() == [State.SUCCEEDED] * 2
    assert waited == [True, False]
    assert clean_redis.llen(Lane.INTERACTIVE) == 0


def test_row_of_the_bulk_lane_that_was_committed_during_a_call_comes_before_files(
    iris: ModelVersion, clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect(monkeypatch)
    make(iris, lane=Lane.BULK)
    commit_during_the_next_call(monkeypatch, lambda: make(iris, lane=Lane.BULK))
    seen: list[list[str]] = []

    def run_next() -> bool:
        seen.append(states())
        return False

    monkeypatch.setattr(execution, "run_next", run_next)

    drain.drain_lane(Lane.BULK)

    assert seen[0] == [State.SUCCEEDED] * 2


def test_rows_behind_one_that_is_claimed_alone_are_claimed_next(
    iris: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect(monkeypatch)
    make(iris, age=3, attempts=1)
    make(iris, age=2)
    make(iris, age=1)

    assert drain.serve(Lane.INTERACTIVE, time.monotonic() + 10, will_wait=True) is True

    assert states() == [State.SUCCEEDED] * 3


def test_row_that_is_held_back_behind_others_is_served_before_the_worker_leaves(
    iris: ModelVersion, clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect(monkeypatch)
    for age, attempts in ((4, 0), (3, 1), (2, 0), (1, 1)):
        make(iris, age=age, attempts=attempts)

    drain.drain_lane(Lane.INTERACTIVE)

    assert states() == [State.SUCCEEDED] * 4
    assert clean_redis.llen(Lane.INTERACTIVE) == 0


def test_full_claim_of_a_worker_that_will_wait_is_followed_by_another(
    iris: ModelVersion, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MICRO_BATCH = 2
    expect(monkeypatch)
    for age in range(5):
        make(iris, age=age)

    assert drain.serve(Lane.INTERACTIVE, time.monotonic() + 10, will_wait=True) is True

    assert states() == [State.SUCCEEDED] * 5


def test_idle_worker_makes_way_when_other_messages_wait(clean_redis: redis.Redis) -> None:
    clean_redis.rpush(Lane.INTERACTIVE, b"{}")
    start = time.monotonic()

    assert notifications.wait_for_work(Lane.INTERACTIVE) is False
    assert time.monotonic() - start < notifications.WAIT_SECONDS


def test_worker_that_makes_way_wakes_no_other(clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis gives an element to the client that has waited longest, which may be another worker."""
    monkeypatch.setattr(notifications, "WAIT_SECONDS", 0.5)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(notifications.wait_for_work, Lane.INTERACTIVE)
        wait_until(lambda: blocked(clean_redis) == 1, 20.0, "the other worker waits")
        clean_redis.rpush(Lane.INTERACTIVE, b"{}")
        start = time.monotonic()

        assert notifications.wait_for_work(Lane.INTERACTIVE) is False
        assert time.monotonic() - start < notifications.WAIT_SECONDS
        assert other.result(20.0) is False


def blocked(client: redis.Redis) -> int:
    return int(client.info("clients")["blocked_clients"])


def test_idle_worker_serves_another_version_without_a_message(
    iris: ModelVersion, wine: ModelVersion, clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect(monkeypatch)
    make(iris)
    wait, asked = notifications.wait_for_work, []

    def notify_meanwhile(lane: str) -> bool:
        if not asked:
            asked.append(wine_row(wine))
            notifications.notify(lane)
        return wait(lane)

    monkeypatch.setattr(notifications, "wait_for_work", notify_meanwhile)

    drain.drain_lane(Lane.INTERACTIVE)

    assert states() == [State.SUCCEEDED] * 2
    assert clean_redis.llen(Lane.INTERACTIVE) == 0


def test_notifications_leave_nothing_in_redis_without_an_expiry(iris: ModelVersion, clean_redis: redis.Redis) -> None:
    notifications.notify(Lane.BULK)
    notifications.mark_attended(Lane.INTERACTIVE)
    notifications.notify(Lane.INTERACTIVE)

    ours = list(clean_redis.scan_iter("foretell:*"))
    assert len(ours) == 3
    assert all(clean_redis.pttl(key) > 0 for key in ours)


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
