"""The reads of the predictions table, the acceptance of rows, and the two ways in which a claim ends unanswered."""

import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from predictions.models import Lane, ModelVersion, Prediction, Source, State
from predictions.models.ids import new_prediction_id
from tests.integration.conftest import make

# Longer than any pause of a busy machine.
BOUND = timedelta(seconds=60)
LATE: dict[str, Any] = {"age": 120.0}


def in_seconds(seconds: float) -> Any:
    return timezone.now() + timedelta(seconds=seconds)


# --- New rows ---------------------------------------------------------------------------------------------------------
def test_new_row_has_what_it_was_asked_with_and_the_defaults(iris: ModelVersion, analyst: User) -> None:
    own_id, address, values = new_prediction_id(), uuid.uuid4(), [5.1, 3.5, 1.4, 0.2]
    row = Prediction.asked(own_id, iris, analyst, "user:1", address, Source.API, values)
    named = Prediction(
        id=own_id, version=iris, owner=analyst, caller="user:1", address=address, source=Source.API,
        lane=Lane.INTERACTIVE, values=values,
    )  # fmt: skip

    fields = [field.attname for field in Prediction._meta.concrete_fields]
    assert {name: getattr(row, name) for name in fields} == {name: getattr(named, name) for name in fields}
    assert row.version is iris


# --- Who is ahead -----------------------------------------------------------------------------------------------------
def test_rows_ahead_are_those_queued_earlier_in_the_same_lane(iris: ModelVersion) -> None:
    for age in (8, 9):
        make(iris, age=age)
    row = make(iris, age=5)
    make(iris, age=1)
    make(iris, age=9, lane=Lane.BULK)
    make(iris, State.RUNNING, age=9)
    make(iris, State.SUCCEEDED, age=9)

    assert Prediction.objects.ahead_of(row, 100) == 2
    assert Prediction.objects.ahead_of(row, 1) == 1


# --- Lanes that wait or stand still -----------------------------------------------------------------------------------
def test_waiting_lanes_names_each_lane_with_overdue_rows_once(registered: dict[str, Any], iris: ModelVersion) -> None:
    for age in (1, 5, 9):
        make(iris, age=age)
    make(iris, age=1, lane=Lane.BULK)
    make(iris, State.RUNNING, age=9, lane=Lane.BULK)
    make(registered["wine"].champion, age=9)

    assert Prediction.objects.waiting_lanes(timedelta(seconds=3)) == [Lane.INTERACTIVE]
    assert Prediction.objects.waiting_lanes(timedelta(0)) == [Lane.INTERACTIVE, Lane.BULK]


@pytest.mark.parametrize("lane", Lane.values)
def test_lane_whose_row_waits_for_longer_than_the_bound_stands_still(iris: ModelVersion, lane: str) -> None:
    make(iris, lane=lane, **LATE)
    assert Prediction.objects.stalled_lanes(BOUND) == [lane]


@pytest.mark.parametrize(
    "fields",
    [
        {"age": 2.0}, {**LATE, "deadline_at": -1}, {**LATE, "state": State.RUNNING}, {**LATE, "state": State.CANCELED},
    ],
    ids=["waits since a moment ago", "past its deadline", "under way", "canceled"],
)  # fmt: skip
def test_row_that_nobody_should_have_claimed_stalls_no_lane(iris: ModelVersion, fields: dict[str, Any]) -> None:
    if "deadline_at" in fields:
        fields = {**fields, "deadline_at": in_seconds(fields["deadline_at"])}
    make(iris, **fields)
    assert Prediction.objects.stalled_lanes(BOUND) == []


@pytest.mark.parametrize(
    ("state", "times", "moves"),
    [
        (State.RUNNING, {"started_at": -120, "claimed_until": 60}, True),
        (State.RUNNING, {"started_at": -120, "claimed_until": -1}, False),
        (State.SUCCEEDED, {"started_at": -2, "finished_at": -1}, True),
        (State.SUCCEEDED, {"started_at": -120, "finished_at": -1}, False),
    ],
    ids=["a lease", "a lost lease", "claimed and ended now", "claimed long ago, ended now"],
)
@pytest.mark.parametrize("lane", Lane.values)
def test_only_a_row_that_was_just_claimed_shows_that_its_lane_moves(
    iris: ModelVersion, state: State, times: dict[str, float], lane: str, moves: bool
) -> None:
    make(iris, **LATE)
    make(iris, state, lane=lane, age=150, **{name: in_seconds(seconds) for name, seconds in times.items()})

    is_same = lane == Lane.INTERACTIVE
    assert Prediction.objects.stalled_lanes(BOUND) == ([] if moves and is_same else [Lane.INTERACTIVE])


# --- What a caller has asked, and what has ended ----------------------------------------------------------------------
def test_rows_of_a_caller_are_listed_newest_first(iris: ModelVersion) -> None:
    old, new = make(iris, age=9), make(iris, age=1)
    make(iris, age=5, caller="visitor:another")
    same_time = [make(iris, created_at=old.created_at) for _ in range(3)]

    listed = list(Prediction.objects.asked_by("visitor:somebody").values_list("id", flat=True))

    earlier = sorted([old.pk, *(row.pk for row in same_time)], reverse=True)
    assert listed == [new.pk, *earlier]


def test_rows_that_ended_longer_ago_than_an_age_are_listed_oldest_first(iris: ModelVersion) -> None:
    middle, oldest = make(iris, State.FAILED, age=60), make(iris, State.SUCCEEDED, age=90)
    make(iris, State.SUCCEEDED, age=5)
    make(iris, age=90)

    assert list(Prediction.objects.ended_before(timedelta(seconds=30))) == [oldest, middle]


# --- Acceptance -------------------------------------------------------------------------------------------------------
def test_accepted_row_has_the_times_of_the_database_and_is_kept(iris: ModelVersion) -> None:
    row = Prediction(version=iris, caller="visitor:somebody", source="form", values=[1.0])
    row.time_allowed = timedelta(seconds=7)
    before = timezone.now()

    Prediction.objects.accept([row])

    assert abs((row.created_at - before).total_seconds()) < 5
    assert row.created_at.microsecond % 1000 == 0
    assert row.deadline_at - row.created_at == timedelta(seconds=7)
    stored = Prediction.objects.get(pk=row.pk)
    assert (stored.created_at, stored.deadline_at, stored.state) == (row.created_at, row.deadline_at, State.QUEUED)
    assert row._state.adding is False  # otherwise Django would insert it again when it is saved


def test_time_of_acceptance_has_no_more_than_milliseconds(iris: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim's time has milliseconds on SQLite, and must not be before it."""
    now = timezone.now().replace(microsecond=123_050)
    monkeypatch.setattr("predictions.models.clock.recent", lambda *, ask_after: now)
    row = Prediction(version=iris, caller="visitor:somebody", source="form", values=[1.0])

    Prediction.objects.accept([row])

    assert row.created_at == now.replace(microsecond=123_000)


# --- A claim that ends without an answer ------------------------------------------------------------------------------
def test_time_out_fails_the_rows_of_its_claim_alone(iris: ModelVersion) -> None:
    first, second = make(iris, age=9), make(iris, age=8)
    mine = Prediction.objects.claim(Lane.INTERACTIVE, 2)
    assert mine
    part = replace(mine, rows=mine.rows[:1])

    assert Prediction.objects.time_out(part, 4000.5) == [first.pk]

    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, first.error_code, first.predict_ms) == (State.FAILED, "timeout", 4000.5)
    assert (first.claimed_until, first.finished_at is None) == (None, False)
    assert (second.state, second.claim) == (State.RUNNING, mine.token)


def test_time_out_leaves_a_row_that_another_worker_has_now(iris: ModelVersion) -> None:
    make(iris, age=9)
    lost = Prediction.objects.claim(Lane.INTERACTIVE, 1)
    assert lost
    Prediction.objects.release(lost.token)
    present = Prediction.objects.claim(Lane.INTERACTIVE, 1)
    assert present
    assert [row.id for row in present.rows] == [row.id for row in lost.rows]

    assert Prediction.objects.time_out(lost, 4000.5) == []


def test_release_queues_what_has_an_attempt_left(iris: ModelVersion) -> None:
    row = make(iris, age=9)
    claim = Prediction.objects.claim(Lane.INTERACTIVE, 1)
    assert claim
    spent = make(iris, State.RUNNING, claim=claim.token, attempts=settings.MAX_ATTEMPTS)
    other = make(iris, State.RUNNING)

    assert Prediction.objects.release(claim.token) == [row.pk]

    row.refresh_from_db()
    assert (row.state, row.attempts) == (State.QUEUED, 1)
    assert (row.claim, row.claimed_until, row.started_at) == (None, None, None)
    states = [Prediction.objects.get(pk=one.pk).state for one in (spent, other)]
    assert states == [State.RUNNING, State.RUNNING]


# --- Look again -------------------------------------------------------------------------------------------------------
def test_has_ended_looks_at_the_database(iris: ModelVersion) -> None:
    row = make(iris)
    assert not row.refresh_status()

    Prediction.objects.filter(pk=row.pk).cancel()

    assert row.refresh_status()
    assert row.state == State.CANCELED


def test_look_that_somebody_else_took_is_not_repeated(iris: ModelVersion, django_assert_num_queries: Any) -> None:
    row = make(iris)
    seen = Prediction.objects.fetch_statuses([make(iris, State.FAILED).pk])

    with django_assert_num_queries(0):
        assert row.refresh_status(*seen.values())
    assert (row.state, row.error_code) == (State.FAILED, "model_error")
