"""What the record of predictions says of its rows: who is ahead, which lane stands still, what a caller has asked."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from predictions.models import Lane, ModelVersion, Prediction, State
from tests.integration.conftest import make

BOUND = timedelta(seconds=5)
LATE: dict[str, Any] = {"age": 20.0}


def in_seconds(seconds: float) -> Any:
    return timezone.now() + timedelta(seconds=seconds)


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


# --- Lanes that stand still -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("lane", Lane.values)
def test_lane_whose_row_waits_for_longer_than_the_bound_stands_still(iris: ModelVersion, lane: str) -> None:
    make(iris, lane=lane, **LATE)
    assert Prediction.objects.stalled_lanes(BOUND) == [lane]


@pytest.mark.parametrize(
    "fields",
    [
        {"age": 2.0}, {"age": 20.0, "deadline_at": -1},
        {"age": 20.0, "state": State.RUNNING}, {"age": 20.0, "state": State.CANCELED},
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
        (State.RUNNING, {"started_at": -60, "claimed_until": 30}, True),
        (State.RUNNING, {"started_at": -60, "claimed_until": -1}, False),
        (State.SUCCEEDED, {"started_at": -2, "finished_at": -1}, True),
        (State.SUCCEEDED, {"started_at": -60, "finished_at": -1}, False),
        (State.SUCCEEDED, {"started_at": -61, "finished_at": -60}, False),
    ],
    ids=["a lease", "a lost lease", "claimed and ended now", "claimed long ago, ended now", "ended long ago"],
)
@pytest.mark.parametrize("lane", Lane.values)
def test_only_a_row_that_was_just_claimed_shows_that_its_lane_moves(
    iris: ModelVersion, state: State, times: dict[str, float], lane: str, moves: bool
) -> None:
    make(iris, **LATE)
    make(iris, state, lane=lane, age=90, **{name: in_seconds(seconds) for name, seconds in times.items()})

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
    row.save()  # as a row that is kept already: it changes nothing and inserts nothing
    assert Prediction.objects.count() == 1
    assert row._state.adding is False


# --- A claim that ends without an answer ------------------------------------------------------------------------------
def test_time_out_fails_the_rows_of_its_claim_alone(iris: ModelVersion) -> None:
    first, second = make(iris, age=9), make(iris, age=8)
    mine = Prediction.objects.claim(Lane.INTERACTIVE, 1)
    others = Prediction.objects.claim(Lane.INTERACTIVE, 1)
    assert mine
    assert others

    assert Prediction.objects.time_out(mine, 4000.5) == [first.pk]
    assert Prediction.objects.time_out(mine, 4000.5) == []

    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, first.error_code, first.predict_ms) == (State.FAILED, "timeout", 4000.5)
    assert (first.claimed_until, first.finished_at is None) == (None, False)
    assert (second.state, second.claim) == (State.RUNNING, others.token)


def test_release_queues_what_has_an_attempt_left(iris: ModelVersion) -> None:
    row = make(iris, age=9)
    claim = Prediction.objects.claim(Lane.INTERACTIVE, 1)
    assert claim
    spent = make(iris, State.RUNNING, claim=claim.token, attempts=settings.MAX_ATTEMPTS)
    other = make(iris, State.RUNNING)

    assert Prediction.objects.release(claim.token) == [row.pk]

    row.refresh_from_db()
    assert (row.state, row.claim, row.claimed_until, row.started_at, row.attempts) == (
        State.QUEUED,
        None,
        None,
        None,
        1,
    )
    states = [Prediction.objects.get(pk=one.pk).state for one in (spent, other)]
    assert states == [State.RUNNING, State.RUNNING]


# --- Look again -------------------------------------------------------------------------------------------------------
def test_row_that_was_removed_stays_as_it_was_last_seen(iris: ModelVersion) -> None:
    row = make(iris, State.SUCCEEDED)
    Prediction.objects.remove([row.pk])

    assert row.refresh_status() is False
    assert row.state == State.SUCCEEDED


def test_look_that_somebody_else_took_is_not_repeated(iris: ModelVersion, django_assert_num_queries: Any) -> None:
    row = make(iris)
    seen = Prediction.objects.fetch_statuses([make(iris, State.FAILED).pk])

    with django_assert_num_queries(0):
        assert row.refresh_status(*seen.values())
    assert (row.state, row.error_code) == (State.FAILED, "model_error")
