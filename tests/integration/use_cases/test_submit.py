"""Submission: rows are accepted once, and nothing is stored of a request that is refused."""

import time
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.contrib.auth.models import User
from django.db import DatabaseError, OperationalError
from django.utils import timezone

from predictions.lifecycle import registry
from predictions.models import IdempotencyKey, Lane, ModelVersion, Prediction, RegisteredModel, Source, State
from predictions.models.idempotency_key import KEY_LIFE, KeyTaken
from predictions.queue import notifications, redis_client
from predictions.serving.schema.errors import InvalidInput, KeyReused, ModelUnavailable, QueueFull
from predictions.use_cases.callers import Caller
from predictions.use_cases.submit import PredictCommand, accept, submission_of
from tests.integration.conftest import IRIS, together
from tests.support.asking import ask_row, ask_rows
from tests.support.waiting import wait_until

# Each test commits, as in production: a row that the database refuses would abort the transaction of a test.
pytestmark = pytest.mark.django_db(transaction=True)

CALLER = Caller("visitor:somebody")
OTHER = Caller("visitor:somebody-else")
OTHER_ROW = [6.7, 3.1, 5.6, 2.4]


@pytest.fixture
def model(registered: dict[str, RegisteredModel]) -> RegisteredModel:
    return registry.find("iris")


def ask(model: RegisteredModel, raw: Any = IRIS, caller: Caller = CALLER, **more: Any) -> Prediction:
    return ask_row(model, raw, caller, **more)


def count() -> int:
    return Prediction.objects.count()


# --- Accepting --------------------------------------------------------------------------------------------------------
def test_submit_keeps_the_cleaned_row(model: RegisteredModel, owner: User) -> None:
    prediction = ask(model, [5, 3, 1, 0], Caller("user:1", owner))

    kept = Prediction.objects.get()
    assert kept == prediction
    assert (kept.values, kept.state, kept.lane) == ([5.0, 3.0, 1.0, 0.0], State.QUEUED, Lane.INTERACTIVE)
    assert (kept.owner, kept.caller, kept.source) == (owner, "user:1", Source.API)
    assert kept.version == model.champion


def test_submit_sets_the_deadline(model: RegisteredModel, settings: Any) -> None:
    usual = ask(model)
    short = ask(model, time_allowed=timedelta(seconds=7))

    assert usual.deadline_at - usual.created_at == settings.PREDICTION_TIME
    assert short.deadline_at - short.created_at == timedelta(seconds=7)


def test_submit_notifies_the_workers(model: RegisteredModel, clean_redis: redis.Redis) -> None:
    ask(model)

    wait_until(lambda: clean_redis.llen(Lane.INTERACTIVE) == 1, 10, "one message is sent")


def test_submit_without_a_thread_to_notify_is_accepted(
    model: RegisteredModel, clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(notifications.sender, "submit", refuse)
        assert ask(model).state == State.QUEUED
    assert clean_redis.llen(Lane.INTERACTIVE) == 0

    ask(model)
    wait_until(lambda: clean_redis.llen(Lane.INTERACTIVE) == 1, 10, "the next one notifies")


def test_submit_without_redis_is_accepted(model: RegisteredModel) -> None:
    redis_client.breaker.reset()

    assert ask(model).state == State.QUEUED
    assert count() == 1


def test_submit_together_keeps_all_in_order(model: RegisteredModel) -> None:
    assert model.champion
    ids = [uuid.uuid4(), uuid.uuid4()]

    rows = ask_rows(model.champion, [IRIS, OTHER_ROW], CALLER, ids)

    assert [(row.pk, row.values) for row in rows] == list(zip(ids, [IRIS, OTHER_ROW], strict=True))
    assert count() == 2


# --- Refusing ---------------------------------------------------------------------------------------------------------
def test_submit_of_a_bad_row_keeps_nothing(model: RegisteredModel) -> None:
    with pytest.raises(InvalidInput):
        ask(model, [1, 2, 3])
    assert count() == 0


def test_submit_to_a_model_without_a_version_that_serves_keeps_nothing(model: RegisteredModel) -> None:
    assert model.champion
    ModelVersion.objects.mark_unavailable(model.champion.pk, "broken")
    registry.clear_cache()

    with pytest.raises(ModelUnavailable):
        ask(registry.find("iris"))
    assert count() == 0


def test_submit_together_to_a_version_that_does_not_serve_keeps_nothing(model: RegisteredModel) -> None:
    assert model.champion
    model.champion.unavailable_reason = "broken"

    with pytest.raises(ModelUnavailable):
        ask_rows(model.champion, [IRIS], CALLER)
    assert count() == 0


def test_submit_whose_commit_fails_keeps_nothing(model: RegisteredModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(Prediction.objects, "accept", away)
    with pytest.raises(DatabaseError):
        ask(model)
    monkeypatch.undo()

    assert count() == 0
    assert ask(model).state == State.QUEUED  # the next row is accepted


# --- Idempotency ------------------------------------------------------------------------------------------------------
def test_same_key_and_row_give_the_same_prediction(model: RegisteredModel) -> None:
    first, second = ask(model, idempotency_key="k"), ask(model, idempotency_key="k")

    assert first.pk == second.pk
    assert count() == 1


def test_same_key_and_the_same_row_said_otherwise_give_the_same_prediction(model: RegisteredModel) -> None:
    assert model.champion
    by_name = dict(zip(reversed(model.champion.signature.names), reversed(IRIS), strict=True))

    assert ask(model, idempotency_key="k").pk == ask(model, by_name, idempotency_key="k").pk


def test_same_key_with_another_row_is_refused(model: RegisteredModel) -> None:
    ask(model, idempotency_key="k")

    with pytest.raises(KeyReused):
        ask(model, OTHER_ROW, idempotency_key="k")
    assert count() == 1


def test_key_of_several_rows_is_that_of_all_of_them(model: RegisteredModel) -> None:
    assert model.champion
    rows = [IRIS, OTHER_ROW]
    first = ask_rows(model.champion, rows, CALLER, idempotency_key="k")

    assert ask_rows(model.champion, rows, CALLER, idempotency_key="k") == first
    for others in ([IRIS, IRIS], [IRIS], [*rows, IRIS]):
        with pytest.raises(KeyReused):
            ask_rows(model.champion, others, CALLER, idempotency_key="k")
    assert count() == 2


def test_same_key_for_another_model_is_refused(registered: dict[str, RegisteredModel], model: RegisteredModel) -> None:
    ask(model, idempotency_key="k")
    wine = registry.find("wine")

    with pytest.raises(KeyReused):
        ask(wine, wine.description["examples"][0]["values"], idempotency_key="k")


def test_same_key_of_two_callers_gives_each_their_own_prediction(model: RegisteredModel) -> None:
    mine, theirs = ask(model, idempotency_key="k"), ask(model, caller=OTHER, idempotency_key="k")

    assert mine.pk != theirs.pk
    assert ask(model, idempotency_key="k").pk == mine.pk
    assert ask(model, caller=OTHER, idempotency_key="k").pk == theirs.pk


def test_full_queue_is_not_opened_by_the_key_of_another_caller(model: RegisteredModel, settings: Any) -> None:
    ask(model, idempotency_key="k")
    settings.MAX_QUEUED = 1

    with pytest.raises(QueueFull):
        ask(model, caller=OTHER, idempotency_key="k")


def test_same_key_after_a_promotion_gives_the_same_prediction(model: RegisteredModel, iris: ModelVersion) -> None:
    first = ask(model, idempotency_key="k")
    second_version = ModelVersion.objects.create(
        registered_model=model, number=2, sha256="1" * 64, manifest=iris.manifest, created_at=iris.created_at
    )
    model.promote(second_version)
    registry.clear_cache()

    again = ask(registry.find("iris"), idempotency_key="k")

    assert (again.pk, again.version) == (first.pk, iris)


def age_keys(by: timedelta) -> None:
    IdempotencyKey.objects.update(created_at=timezone.now() - by)


def test_key_is_replaced_after_24_hours(model: RegisteredModel) -> None:
    first = ask(model, idempotency_key="k")
    age_keys(timedelta(hours=24, seconds=1))

    second = ask(model, OTHER_ROW, idempotency_key="k")

    assert second.pk != first.pk
    assert count() == 2
    assert ask(model, OTHER_ROW, idempotency_key="k").pk == second.pk


def test_key_is_kept_for_24_hours(model: RegisteredModel) -> None:
    first = ask(model, idempotency_key="k")
    age_keys(timedelta(hours=23, minutes=59))

    assert ask(model, idempotency_key="k").pk == first.pk
    with pytest.raises(KeyReused):
        ask(model, OTHER_ROW, idempotency_key="k")


def test_expired_key_does_not_open_a_full_queue(model: RegisteredModel, settings: Any) -> None:
    ask(model, idempotency_key="k")
    age_keys(timedelta(hours=24, seconds=1))
    settings.MAX_QUEUED = 1

    with pytest.raises(QueueFull):
        ask(model, idempotency_key="k")


def test_key_of_a_removed_prediction_is_free(model: RegisteredModel) -> None:
    first = ask(model, idempotency_key="k")
    Prediction.objects.filter(pk=first.pk).cancel()
    assert Prediction.objects.remove([first.pk]) == 1

    assert not IdempotencyKey.objects.exists()
    assert ask(model, OTHER_ROW, idempotency_key="k").pk != first.pk


def test_key_whose_prediction_was_deleted_otherwise_is_free_for_one(model: RegisteredModel) -> None:
    ask(model, idempotency_key="k")
    Prediction.objects.all().delete()

    answers = together(10, lambda _: ask(model, idempotency_key="k"))

    assert {answer.pk for answer in answers} == {Prediction.objects.get().pk}


def command_with_key(model: RegisteredModel) -> PredictCommand:
    assert model.champion
    return PredictCommand(model.champion, [IRIS], [uuid.uuid4()], CALLER, Source.API, idempotency_key="k")


def test_key_that_expires_after_it_was_in_the_way_is_free(
    model: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ask(model, idempotency_key="k")
    current_among = IdempotencyKey.objects.current_among

    def expired(*key: Any) -> dict[str, IdempotencyKey]:
        age_keys(KEY_LIFE + timedelta(seconds=1))
        return current_among(*key)

    monkeypatch.setattr(IdempotencyKey.objects, "current_among", expired)
    second = ask(model, idempotency_key="k")

    assert second.pk != first.pk
    assert count() == 2


def test_key_that_becomes_free_and_is_taken_by_another_request_first(
    model: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(model, idempotency_key="k")
    others: list[Prediction] = []

    def expired_and_taken(*_: Any) -> dict[str, IdempotencyKey]:
        monkeypatch.undo()
        age_keys(KEY_LIFE + timedelta(seconds=1))
        [accepted] = accept([submission_of(command_with_key(model))])
        assert isinstance(accepted, list)
        others.extend(accepted)
        return {}

    monkeypatch.setattr(IdempotencyKey.objects, "current_among", expired_and_taken)

    assert [ask(model, idempotency_key="k")] == others
    assert count() == 2


def test_two_commands_of_which_one_has_a_key_in_use_are_tried_apart(model: RegisteredModel) -> None:
    ask(model, idempotency_key="k")

    with pytest.raises(KeyTaken):
        accept([submission_of(command_with_key(model)), submission_of(replace(command_with_key(model), caller=OTHER))])
    assert count() == 1


@pytest.mark.usefixtures("clean_redis")
def test_command_that_is_tried_again_counts_once_for_the_rate(model: RegisteredModel, settings: Any) -> None:
    ask(model, idempotency_key="k")
    settings.SUBMIT_RATE = "1/minute"
    used, free = command_with_key(model), replace(command_with_key(model), caller=OTHER)
    together_first = [submission_of(used), submission_of(free)]

    with pytest.raises(KeyTaken):
        accept(together_first)
    [accepted] = accept(together_first[1:])

    assert isinstance(accepted, list)
    assert count() == 2


def test_rows_whose_key_is_taken_are_not_kept_with_others(model: RegisteredModel) -> None:
    first = ask(model, idempotency_key="k")

    answers = together(10, lambda number: ask(model, idempotency_key="k" if number % 2 else f"k{number}"))

    assert [answer.pk == first.pk for answer in answers] == [False, True] * 5
    assert count() == 6


def test_remove_expired_keys_leaves_the_others(model: RegisteredModel) -> None:
    ask(model, idempotency_key="old")
    age_keys(KEY_LIFE + timedelta(seconds=1))
    ask(model, idempotency_key="new")

    assert IdempotencyKey.objects.remove_expired(10) == 1
    assert [key.key for key in IdempotencyKey.objects.all()] == ["new"]


def test_remove_expired_keys_stops_at_its_limit(model: RegisteredModel) -> None:
    for number in range(3):
        ask(model, idempotency_key=f"k{number}")
    age_keys(KEY_LIFE + timedelta(seconds=1))

    assert [IdempotencyKey.objects.remove_expired(2) for _ in range(3)] == [2, 1, 0]


def test_one_key_in_many_threads_gives_one_prediction(model: RegisteredModel) -> None:
    answers = together(50, lambda _: ask(model, idempotency_key="k"))

    assert {answer.pk for answer in answers} == {Prediction.objects.get().pk}


def test_expired_key_in_many_threads_gives_one_new_prediction(model: RegisteredModel) -> None:
    ask(model, idempotency_key="k")
    age_keys(KEY_LIFE + timedelta(seconds=1))

    answers = together(20, lambda _: ask(model, idempotency_key="k"))

    assert {answer.pk for answer in answers} == {IdempotencyKey.objects.get().prediction_id}
    assert count() == 2


def test_many_threads_each_get_a_prediction_of_their_own(model: RegisteredModel) -> None:
    answers = together(30, lambda number: ask(model, [number, 1, 1, 1]))

    assert {answer.pk: answer.values[0] for answer in answers} == {
        row.pk: row.values[0] for row in Prediction.objects.all()
    }
    assert count() == 30


def test_bad_item_among_many_fails_alone(model: RegisteredModel) -> None:
    """The database refuses one row, because its owner does not exist."""
    nobody = User(pk=999_999)

    answers = together(10, lambda number: ask(model, caller=Caller(f"user:{number}", nobody if number == 3 else None)))

    assert [number for number, answer in enumerate(answers) if isinstance(answer, Exception)] == [3]
    assert count() == 9


# --- The time ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shift", [timedelta(seconds=-150), timedelta(minutes=10)])
def test_row_keeps_its_time_if_the_clock_of_the_host_is_wrong(
    model: RegisteredModel, settings: Any, monkeypatch: pytest.MonkeyPatch, shift: timedelta
) -> None:
    real, real_seconds = timezone.now, time.time
    monkeypatch.setattr(timezone, "now", lambda: real() + shift)
    monkeypatch.setattr(time, "time", lambda: real_seconds() + shift.total_seconds())

    row = ask(model, time_allowed=timedelta(seconds=60))

    assert abs(row.created_at - real()) < timedelta(seconds=30)
    assert row.deadline_at - row.created_at == timedelta(seconds=60)
    assert Prediction.objects.expire() == []
    assert Prediction.objects.claim(Lane.INTERACTIVE, 1) is not None
