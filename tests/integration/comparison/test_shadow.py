"""Shadow: the challenger answers copies of finished predictions, and no caller sees these answers."""

import math
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from predictions.comparison import execution
from predictions.models import ComparedAnswer, Comparison, LifecycleEvent, ModelVersion, Prediction, Source, State
from predictions.monitoring import board
from predictions.serving.schema.errors import ModelUnavailable
from predictions.worker import preload
from tests.integration.conftest import IRIS, make, signed_in
from tests.support.commands import run

Versions = tuple[ModelVersion, ModelVersion]
VIRGINICA = [6.7, 3.1, 5.6, 2.4]


@pytest.fixture
def shadowed(second: Versions) -> Versions:
    run("alias", "iris", "challenger", "2")
    run("shadow", "iris", "100")
    Comparison.objects.update(position_at=timezone.now() - timedelta(minutes=5))
    return second


def answered(version: ModelVersion, age: float = 60.0, **fields: Any) -> Prediction:
    return make(version, State.SUCCEEDED, age=age, **fields)


def shadow() -> Comparison:
    return Comparison.objects.get()


def test_shadow_answers_each_finished_prediction_once(shadowed: Versions) -> None:
    first, other = shadowed
    rows = [answered(first, values=values) for values in (IRIS, VIRGINICA)]
    answered(other)  # answered by the challenger itself
    answered(first, source=Source.CANARY)
    make(first, State.FAILED, age=60.0)
    make(first)

    assert execution.run(math.inf)
    assert execution.run(math.inf)
    found = {one.original_id: (one.output or {})["label"] for one in ComparedAnswer.objects.all()}
    assert found == {rows[0].pk: "setosa", rows[1].pk: "virginica"}
    assert (shadow().done, shadow().dropped) == (2, 0)
    assert all(one.before_ms and one.after_ms for one in ComparedAnswer.objects.all())


def test_shadow_gathers_predictions_before_it_answers_them(shadowed: Versions) -> None:
    answered(shadowed[0], age=12.0)  # it ended eleven seconds ago
    assert execution.run(math.inf)
    assert not ComparedAnswer.objects.exists()
    answered(shadowed[0], age=20.0)
    execution.run(math.inf)
    assert ComparedAnswer.objects.count() == 2


@pytest.mark.parametrize(("age", "served", "is_neglected"), [(100.0, 70, True), (70.0, 70, False), (100.0, 50, False)])
def test_shadow_is_neglected_if_it_was_due_for_long_and_not_served(
    shadowed: Versions, age: float, served: int, is_neglected: bool
) -> None:
    """It is due once the first prediction that it has not seen ended 12 seconds ago."""
    answered(shadowed[0], age=age)
    Comparison.objects.update(served_at=timezone.now() - timedelta(seconds=served))

    assert Comparison.objects.is_neglected(timedelta(seconds=60)) == is_neglected


def test_shadow_takes_the_share_that_was_asked_for(shadowed: Versions) -> None:
    for _ in range(300):
        answered(shadowed[0])
    run("shadow", "iris", "30")
    execution.run(math.inf)
    assert 50 <= ComparedAnswer.objects.count() <= 130


def test_shadow_that_is_stopped_answers_nothing(shadowed: Versions) -> None:
    run("shadow", "iris", "0")
    answered(shadowed[0])
    execution.run(math.inf)
    assert not ComparedAnswer.objects.exists()
    assert [event.percent for event in LifecycleEvent.objects.filter(action="shadow").order_by("id")] == [100, 0]


def test_nobody_sees_or_counts_the_answers_of_a_shadow(shadowed: Versions, analyst: User) -> None:
    row = answered(shadowed[0], owner=analyst, caller=f"user:{analyst.pk}")
    before = board.last_hour(board.Filter())
    execution.run(math.inf)
    assert ComparedAnswer.objects.count() == 1
    assert Prediction.objects.count() == 1
    assert board.last_hour(board.Filter()) == before
    assert str(row.pk) in signed_in(analyst).get("/predictions/").content.decode()


def test_shadow_that_is_far_behind_passes_over_and_counts(shadowed: Versions) -> None:
    Comparison.objects.update(position_at=timezone.now() - timedelta(hours=1))
    for _ in range(3):
        answered(shadowed[0], age=1800)
    late = answered(shadowed[0])
    execution.run(math.inf)
    assert [one.original_id for one in ComparedAnswer.objects.all()] == [late.pk]
    assert (shadow().done, shadow().dropped) == (1, 3)


def test_shadow_waits_while_predictions_wait(shadowed: Versions) -> None:
    answered(shadowed[0])
    waiting = make(shadowed[0], age=5.0)
    assert execution.run(math.inf)
    assert not ComparedAnswer.objects.exists()
    waiting.delete()
    execution.run(math.inf)
    assert ComparedAnswer.objects.count() == 1


def test_batch_of_a_worker_that_died_is_answered_by_the_next(
    shadowed: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(shadowed[0])
    claimed = Comparison.objects.claim()
    assert claimed is not None
    assert Comparison.objects.claim() is None
    Comparison.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    execution.run(math.inf)
    assert ComparedAnswer.objects.count() == 1
    assert not claimed.settle([], (timezone.now(), None))


def test_shadow_that_costs_workers_is_ended_with_the_reason(shadowed: Versions) -> None:
    answered(shadowed[0])
    Comparison.objects.update(attempts=3)
    execution.run(math.inf)
    assert shadow().error_code == "worker_lost"
    event = LifecycleEvent.objects.first()
    assert event is not None
    assert (event.actor, event.percent, event.reason) == ("worker", 0, "Its answers have cost 3 workers.")


def test_shadow_of_a_version_that_does_not_serve_ends(shadowed: Versions, monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(version_id: int, sha256: str) -> None:
        raise ModelUnavailable("Its file is gone.")

    monkeypatch.setattr(preload, "load", unavailable)
    answered(shadowed[0])
    execution.run(math.inf)
    assert shadow().error_code == "model_unavailable"
    assert ModelVersion.objects.get(pk=shadowed[1].pk).unavailable_reason == "Its file is gone."


def test_answers_of_a_shadow_go_with_their_prediction(shadowed: Versions) -> None:
    row = answered(shadowed[0])
    execution.run(math.inf)
    assert Prediction.objects.remove([row.pk]) == 1
    assert not ComparedAnswer.objects.exists()


def test_new_challenger_ends_the_shadow_of_the_last(shadowed: Versions) -> None:
    run("alias", "iris", "challenger", "--remove")
    assert shadow().is_terminal
