"""Every change of a prediction's state, from every state."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from predictions.models import Lane, ModelVersion, Prediction, State
from predictions.models.claim import Predicted
from predictions.models.states import TERMINAL, TRANSITIONS, before
from predictions.serving.engines.predictor import Outcome
from predictions.serving.schema.errors import ModelFailure
from tests.integration.conftest import SETOSA, make, together

PAST = timedelta(seconds=-1)
FUTURE = timedelta(seconds=60)


def claim(version: ModelVersion, limit: int = 64, lane: str = Lane.INTERACTIVE) -> Any:
    return Prediction.objects.claim(lane, limit)


def kept(row: Prediction) -> dict[str, Any]:
    return Prediction.objects.filter(pk=row.pk).values().get()


def good(count: int = 1) -> list[Outcome]:
    return [Outcome(SETOSA, None)] * count


# --- The table --------------------------------------------------------------------------------------------------------
def test_transitions_end_nowhere_but_in_four_states() -> None:
    assert {State.SUCCEEDED, State.FAILED, State.CANCELED, State.EXPIRED} == TERMINAL
    assert set(TRANSITIONS) == set(State)
    assert before(State.SUCCEEDED) == [State.RUNNING]
    assert before(State.CANCELED) == [State.QUEUED, State.RUNNING]


# --- Claim ------------------------------------------------------------------------------------------------------------
def test_claim_of_nothing_is_none(iris: ModelVersion) -> None:
    assert claim(iris) is None


def test_claim_takes_the_oldest_first(iris: ModelVersion) -> None:
    new, old, middle = make(iris, age=1), make(iris, age=3), make(iris, age=2)

    first, second = claim(iris, 2), claim(iris, 2)

    assert [row.id for row in first.rows] == [old.pk, middle.pk]
    assert [row.id for row in second.rows] == [new.pk]
    assert first.token != second.token


def test_claim_writes_lease_attempt_and_token(iris: ModelVersion) -> None:
    row = make(iris, age=1)  # a claim within a millisecond would start at the row's time of creation

    taken = claim(iris)

    after = kept(row)
    assert [(r.id, r.values) for r in taken.rows] == [(row.pk, row.values)]
    assert (after["state"], after["claim"], after["attempts"]) == (State.RUNNING, taken.token, 1)
    assert after["started_at"] == taken.claimed_at
    assert after["claimed_until"] == taken.claimed_at + settings.LEASE


@pytest.mark.parametrize("state", sorted(set(State) - {State.QUEUED}))
def test_claim_of_a_row_that_is_not_queued_leaves_it(iris: ModelVersion, state: State) -> None:
    row = make(iris, state)
    was = kept(row)

    assert claim(iris) is None
    assert kept(row) == was


def test_claim_keeps_lanes_apart(iris: ModelVersion) -> None:
    bulk, own = make(iris, lane=Lane.BULK, age=9), make(iris)

    assert [row.id for row in claim(iris).rows] == [own.pk]
    assert [row.id for row in claim(iris, lane=Lane.BULK).rows] == [bulk.pk]


def test_claim_takes_the_oldest_of_all_versions(registered: dict[str, Any], iris: ModelVersion) -> None:
    wine = registered["wine"].champion
    second, first, third, fourth = make(iris, age=3), make(wine, age=4), make(wine, age=2), make(iris, age=1)

    taken = claim(iris, 3)

    assert [row.id for row in taken.rows] == [first.pk, second.pk, third.pk]
    groups = taken.by_version()
    assert {key: [row.id for row in group.rows] for key, group in groups.items()} == {
        wine.pk: [first.pk, third.pk],
        iris.pk: [second.pk],
    }
    assert {group.token for group in groups.values()} == {taken.token}
    assert [row.id for row in claim(iris).rows] == [fourth.pk]


def test_claim_of_a_row_that_cost_a_worker_takes_it_alone(iris: ModelVersion) -> None:
    suspect = make(iris, age=3, attempts=1)
    others = [make(iris, age=2), make(iris, age=1)]

    assert [row.id for row in claim(iris).rows] == [suspect.pk]
    assert [row.id for row in claim(iris).rows] == [row.pk for row in others]


def test_claim_stops_before_a_row_that_cost_a_worker(iris: ModelVersion) -> None:
    first = make(iris, age=3)
    suspect = make(iris, age=2, attempts=2)
    last = make(iris, age=1)

    assert [[row.id for row in claim(iris).rows] for _ in range(3)] == [[first.pk], [suspect.pk], [last.pk]]


@pytest.mark.django_db(transaction=True)
def test_claim_by_many_at_once_gives_each_row_to_one(iris: ModelVersion) -> None:
    rows = [make(iris, age=n) for n in range(40)]

    claims = together(8, lambda _: claim(iris, 5))

    taken = [row.id for one in claims for row in one.rows]
    assert sorted(taken) == sorted(row.pk for row in rows)


def test_claim_leaves_what_is_past_its_deadline(iris: ModelVersion) -> None:
    late = make(iris, deadline_at=timezone.now() - timedelta(seconds=1))

    assert Prediction.objects.claim(Lane.INTERACTIVE, 10) is None
    assert Prediction.objects.expire() == [late.pk]


# --- Settle -----------------------------------------------------------------------------------------------------------
def test_settle_stores_each_outcome_once(iris: ModelVersion) -> None:
    right, wrong = make(iris, age=2), make(iris, age=1)
    taken = claim(iris)
    outcomes = [Outcome(SETOSA, None), Outcome(None, ModelFailure("ValueError"))]

    assert Prediction.objects.settle([Predicted(taken, outcomes, 1.5)]).count == 2
    settled = kept(right), kept(wrong)
    assert Prediction.objects.settle([Predicted(taken, good(2), 9.0)]).count == 0

    assert (kept(right), kept(wrong)) == settled
    assert [row["state"] for row in settled] == [State.SUCCEEDED, State.FAILED]
    assert [row["output"] for row in settled] == [SETOSA, None]
    assert [row["error_code"] for row in settled] == ["", "model_error"]
    assert [row["predict_ms"] for row in settled] == [1.5, 1.5]
    assert [row["claimed_until"] for row in settled] == [None, None]
    assert all(row["finished_at"] >= row["started_at"] for row in settled)


def test_settle_says_what_the_rows_say(iris: ModelVersion) -> None:
    rows = [make(iris, age=2), make(iris, age=1)]
    settled = Prediction.objects.settle(
        [Predicted(claim(iris), [Outcome(SETOSA, None), Outcome(None, ModelFailure("x"))], 1.5)]
    )

    stored = Prediction.objects.fetch_statuses([row.pk for row in rows])
    assert settled.statuses == [stored[row.pk] for row in rows]


def test_settle_of_a_second_attempt_says_so(iris: ModelVersion) -> None:
    row = make(iris)
    Prediction.objects.release(claim(iris).token)
    settled = Prediction.objects.settle([Predicted(claim(iris), good(), 1.5)])

    assert settled.statuses == [Prediction.objects.fetch_statuses([row.pk])[row.pk]]
    assert settled.statuses[0][-1] == 2


def test_settle_of_a_claim_that_lost_a_row_says_nothing_of_the_others(iris: ModelVersion) -> None:
    canceled, _ = make(iris, age=2), make(iris, age=1)
    taken = claim(iris)
    Prediction.objects.filter(pk=canceled.pk).cancel()

    assert Prediction.objects.settle([Predicted(taken, good(2), 1.0)]).statuses == []


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_settle_of_a_row_that_has_ended_changes_nothing(iris: ModelVersion, state: State) -> None:
    row = make(iris)
    taken = claim(iris)
    Prediction.objects.filter(pk=row.pk).update(state=state, error_code="timeout")
    was = kept(row)

    assert Prediction.objects.settle([Predicted(taken, good(), 1.0)]).count == 0
    assert kept(row) == was


def test_settle_of_a_canceled_row_among_others_settles_the_others(iris: ModelVersion) -> None:
    canceled, other = make(iris, age=2), make(iris, age=1)
    taken = claim(iris)
    assert Prediction.objects.filter(pk=canceled.pk).cancel() == [canceled.pk]
    was = kept(canceled)

    assert Prediction.objects.settle([Predicted(taken, good(2), 1.0)]).count == 1
    assert kept(canceled) == was
    assert kept(other)["state"] == State.SUCCEEDED


def test_settle_with_a_claim_that_another_worker_has_now_changes_nothing(iris: ModelVersion) -> None:
    row = make(iris)
    lost = claim(iris)
    Prediction.objects.update(claimed_until=timezone.now() + PAST)
    assert Prediction.objects.requeue_lost() == [row.pk]
    present = claim(iris)
    was = kept(row)

    assert Prediction.objects.settle([Predicted(lost, good(), 1.0)]).count == 0
    assert kept(row) == was
    assert Prediction.objects.settle([Predicted(present, good(), 1.0)]).count == 1


# --- Cancel -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING])
def test_cancel_of_an_unfinished_row_ends_it(iris: ModelVersion, state: State) -> None:
    row = make(iris, state)

    assert Prediction.objects.filter(pk=row.pk).cancel() == [row.pk]

    after = kept(row)
    assert (after["state"], after["output"], after["claimed_until"]) == (State.CANCELED, None, None)
    assert after["finished_at"] is not None


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_cancel_of_a_row_that_has_ended_changes_nothing(iris: ModelVersion, state: State) -> None:
    row = make(iris, state)
    was = kept(row)

    assert Prediction.objects.filter(pk=row.pk).cancel() == []
    assert kept(row) == was


# --- Deadlines --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING])
def test_expire_ends_what_is_late_and_nothing_else(iris: ModelVersion, state: State) -> None:
    late = make(iris, state, deadline_at=timezone.now() + PAST)
    in_time = make(iris, state, deadline_at=timezone.now() + FUTURE)
    was = kept(in_time)

    assert Prediction.objects.expire() == [late.pk]

    after = kept(late)
    assert (after["state"], after["error_code"], after["claimed_until"]) == (State.EXPIRED, "timeout", None)
    assert after["finished_at"] is not None
    assert kept(in_time) == was
    assert Prediction.objects.expire() == []


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_expire_of_a_row_that_has_ended_changes_nothing(iris: ModelVersion, state: State) -> None:
    row = make(iris, state, deadline_at=timezone.now() + PAST)
    was = kept(row)

    assert Prediction.objects.expire() == []
    assert kept(row) == was


@pytest.mark.parametrize("end", ["expire", "fail_exhausted", "requeue_lost"])
def test_only_rows_that_were_won_are_returned(iris: ModelVersion, end: str) -> None:
    """A row that another process cancels between the selection and the update is not among them."""
    past = timezone.now() + PAST
    attempts = settings.MAX_ATTEMPTS if end == "fail_exhausted" else 1
    fields = {"deadline_at": past, "claimed_until": past, "attempts": attempts}
    won, lost = make(iris, State.RUNNING, **fields), make(iris, State.RUNNING, **fields)
    canceled: list[str] = []

    def cancel_first(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("UPDATE") and not canceled:
            canceled.append(sql)
            Prediction.objects.filter(pk=lost.pk).update(state=State.CANCELED)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(cancel_first):
        assert getattr(Prediction.objects, end)() == [won.pk]

    assert kept(lost)["state"] == State.CANCELED


# --- Leases -----------------------------------------------------------------------------------------------------------
def test_requeue_lost_gives_back_what_nobody_holds(iris: ModelVersion) -> None:
    lost = make(iris, State.RUNNING, claimed_until=timezone.now() + PAST)
    held = make(iris, State.RUNNING, claimed_until=timezone.now() + FUTURE)
    was = kept(held)

    assert Prediction.objects.requeue_lost() == [lost.pk]

    after = kept(lost)
    assert (after["state"], after["attempts"]) == (State.QUEUED, 1)
    assert (after["claim"], after["claimed_until"], after["started_at"]) == (None, None, None)
    assert kept(held) == was


def test_requeue_lost_leaves_what_has_used_up_its_attempts(iris: ModelVersion) -> None:
    make(iris, State.RUNNING, claimed_until=timezone.now() + PAST, attempts=settings.MAX_ATTEMPTS)

    assert Prediction.objects.requeue_lost() == []


def test_fail_exhausted_ends_what_has_used_up_its_attempts(iris: ModelVersion) -> None:
    past = timezone.now() + PAST
    spent = make(iris, State.RUNNING, claimed_until=past, attempts=settings.MAX_ATTEMPTS)
    once_more = make(iris, State.RUNNING, claimed_until=past, attempts=settings.MAX_ATTEMPTS - 1)
    held = make(iris, State.RUNNING, claimed_until=timezone.now() + FUTURE, attempts=settings.MAX_ATTEMPTS)

    assert Prediction.objects.fail_exhausted() == [spent.pk]

    after = kept(spent)
    assert (after["state"], after["error_code"], after["claimed_until"]) == (State.FAILED, "worker_lost", None)
    assert after["finished_at"] is not None
    assert [kept(row)["state"] for row in (once_more, held)] == [State.RUNNING, State.RUNNING]


@pytest.mark.parametrize("state", sorted(set(State) - {State.RUNNING}))
def test_leases_concern_running_rows_only(iris: ModelVersion, state: State) -> None:
    row = make(iris, state, claimed_until=timezone.now() + PAST, attempts=settings.MAX_ATTEMPTS)
    was = kept(row)

    assert (Prediction.objects.fail_exhausted(), Prediction.objects.requeue_lost()) == ([], [])
    assert kept(row) == was
