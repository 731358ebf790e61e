"""Acceptance, claim and settle: many rows in one statement. No value changes on the way, and all or none are kept."""

import os
import signal
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.db import OperationalError, connection, transaction
from django.db.models import F
from django.utils import timezone

from predictions.models import IdempotencyKey, Lane, ModelVersion, Prediction, RegisteredModel, Source, State, clock
from predictions.models.claim import Predicted
from predictions.models.idempotency_key import KeyTaken
from predictions.models.ids import new_prediction_id
from predictions.models.prediction_statements import MOST_INSERTED
from predictions.serving.engines.predictor import Outcome
from predictions.serving.schema.errors import ModelFailure
from tests.integration.conftest import IRIS, make, statements
from tests.support.waiting import wait_until

Q = Prediction.objects
VALUES: list[Any] = [
    0.1, 5e-324, 123456789.12345678, 2**53 + 1, -(2**63), True, None,
    "it's \"quoted\" 100 % %s $1 \\ {now} /* */ -- ;", "Zürich 漢字 🙂\n\t", "", "null", "12", "2026-02-03",
]  # fmt: skip


def new(version: ModelVersion, **fields: Any) -> Prediction:
    row = {"caller": "visitor:somebody", "source": Source.API, "values": IRIS, **fields}
    return Prediction(id=new_prediction_id(), version=version, **row)


def claimed(limit: int = 64) -> Any:
    claim = Q.claim(Lane.INTERACTIVE, limit)
    assert claim
    return claim


def test_values_are_kept_and_claimed_as_they_are(iris: ModelVersion) -> None:
    Q.accept([new(iris, values=VALUES)])

    [row] = claimed().rows
    assert (row.values, Q.get().values) == (VALUES, VALUES)
    assert [type(value) for value in row.values] == [type(value) for value in VALUES]


@pytest.mark.parametrize("number", [1e16, 1e20, -1e20, 1e300, 2**63 - 1, -(2**63)])
def test_number_of_any_size_is_read_and_written_as_json(iris: ModelVersion, number: float) -> None:
    """PostgreSQL stores 1e20 as a whole number, which is too large for fast JSON libraries."""
    Q.accept([new(iris, values=[number])])
    claim = claimed()
    assert claim.rows[0].values == [number]
    Q.settle([Predicted(claim, [Outcome({"value": number}, None)], 1.0)])
    assert orjson.loads(orjson.dumps([Q.get().values, Q.get().output])) == [[number], {"value": number}]


def test_output_is_kept_as_it_is(iris: ModelVersion) -> None:
    make(iris)
    output = {"label": VALUES[7], "probabilities": {VALUES[7]: 0.1, VALUES[8]: 5e-324}, "empty": [], "none": None}

    claim = claimed()
    Q.settle([Predicted(claim, [Outcome(output, None)], 0.123456789)])

    row = Q.get()
    assert (row.state, row.output, row.error_code, row.predict_ms) == (State.SUCCEEDED, output, "", 0.123456789)
    assert row.finished_at
    assert row.started_at == claim.claimed_at


def test_row_without_an_output_keeps_none(iris: ModelVersion) -> None:
    make(iris)

    Q.settle([Predicted(claimed(), [Outcome(None, ModelFailure("of a kind"))], 1.0)])

    row = Q.get()
    assert (row.state, row.output, row.error_code) == (State.FAILED, None, "model_error")


def test_new_row_is_as_the_model_says(iris: ModelVersion) -> None:
    address = uuid.uuid4()
    given = new(iris, address=address)
    given.time_allowed = timedelta(seconds=77)
    Q.accept([given])

    row = Q.get()
    assert (row.pk, row.version, row.owner, row.address, row.lane) == (given.pk, iris, None, address, Lane.INTERACTIVE)
    assert (row.state, row.attempts, row.error_code, row.output) == (State.QUEUED, 0, "", None)
    assert (row.created_at, row.deadline_at) == (given.created_at, given.created_at + timedelta(seconds=77))


def test_more_rows_than_one_statement_takes_are_kept_all_or_none(iris: ModelVersion) -> None:
    key = {"caller": "visitor:somebody", "key": "mine", "request_hash": "x"}
    rows = [new(iris) for _ in range(MOST_INSERTED + 1)]
    rows[0].idempotency = IdempotencyKey(prediction_id=rows[0].pk, **key)
    Q.accept(rows)
    assert Q.count() == MOST_INSERTED + 1

    again = [new(iris) for _ in range(MOST_INSERTED + 1)]
    again[-1].idempotency = IdempotencyKey(prediction_id=again[-1].pk, **key)
    with pytest.raises(KeyTaken), transaction.atomic():
        Q.accept(again)
    assert Q.count() == MOST_INSERTED + 1


def test_claim_takes_the_oldest_of_any_version_in_order(
    iris: ModelVersion, registered: dict[str, RegisteredModel]
) -> None:
    wine = registered["wine"].champion
    assert wine
    young, old, middle = make(iris, age=1), make(wine, age=9), make(iris, age=5)

    claim = claimed(2)

    assert [(row.id, row.version_id, row.sha256) for row in claim.rows] == [
        (old.pk, wine.pk, wine.sha256),
        (middle.pk, iris.pk, iris.sha256),
    ]
    assert [row.id for row in claimed().rows] == [young.pk]
    assert Q.claim(Lane.INTERACTIVE, 64) is None


def test_rows_before_one_that_has_cost_an_attempt_are_claimed_and_then_it_alone(iris: ModelVersion) -> None:
    first, second = make(iris, age=9), make(iris, age=8)
    tried, last = make(iris, age=7, attempts=1), make(iris, age=6)

    claims = [[row.id for row in claimed().rows] for _ in range(3)]

    assert claims == [[first.pk, second.pk], [tried.pk], [last.pk]]


def test_no_row_starts_before_it_was_created(iris: ModelVersion) -> None:
    """A statement of PostgreSQL may see a row that was created after the statement's own time."""
    make(iris, age=5)
    make(iris, age=-1)

    Q.settle([Predicted(claimed(), [Outcome({}, None)] * 2, 0.1)])

    for row in Q.all():
        assert row.started_at
        assert row.finished_at
        assert row.created_at <= row.started_at <= row.finished_at


def test_claim_passes_over_other_lanes_and_rows_past_their_deadline(iris: ModelVersion) -> None:
    make(iris, lane=Lane.BULK)
    make(iris, age=400)

    assert Q.claim(Lane.INTERACTIVE, 64) is None


def test_settle_changes_only_rows_that_the_claim_still_holds(iris: ModelVersion) -> None:
    kept, canceled = make(iris, age=2), make(iris, age=1)
    claim = claimed()
    Q.filter(pk=canceled.pk).cancel()

    settled = Q.settle([Predicted(claim, [Outcome({"label": "a"}, None)] * 2, 1.0)])

    assert (settled.count, settled.statuses) == (1, [])
    assert [Q.get(pk=row.pk).state for row in (kept, canceled)] == [State.SUCCEEDED, State.CANCELED]


def test_parts_of_a_claim_are_settled_together_each_with_its_own_time(
    iris: ModelVersion, registered: dict[str, RegisteredModel]
) -> None:
    other = registered["wine"].champion
    assert other
    rows = [make(iris, age=3), make(other, age=2), make(iris, age=1)]
    first, second = claimed().by_version().values()
    outcome = Outcome({"label": "a"}, None)

    with statements() as sent:
        settled = Q.settle([Predicted(second, [outcome], 0.25), Predicted(first, [outcome] * 2, 1.5)])

    assert len(sent) == 1
    stored = Q.fetch_statuses([row.pk for row in rows])
    assert (settled.count, settled.statuses) == (3, [stored[rows[place].pk] for place in (1, 0, 2)])
    assert [Q.get(pk=row.pk).predict_ms for row in rows] == [1.5, 0.25, 1.5]


@pytest.fixture
def believe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[timedelta], None]]:
    """Makes this process take the database's time to be later by a time span. The end of the test undoes that."""
    read = clock.read

    def ask(later: timedelta) -> None:
        monkeypatch.setattr(clock, "read", lambda answer: read(answer) + later)
        clock.now()

    yield ask
    monkeypatch.setattr(clock, "read", read)
    clock.now()


@pytest.mark.parametrize("hours", [-1, 1])
def test_rows_get_the_time_of_the_database_after_a_clock_was_set(
    iris: ModelVersion, believe: Callable[[timedelta], None], monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """The same happens to a machine that was suspended: meanwhile its monotonic clock stands still."""
    read = clock.read
    believe(timedelta(hours=hours))
    monkeypatch.setattr(clock, "read", read)

    Q.accept([new(iris)])

    assert abs(Q.get().created_at - timezone.now()) < timedelta(seconds=10)
    assert len(claimed().rows) == 1


@pytest.mark.parametrize("seconds", [-5, 5])
def test_row_of_another_time_is_refused(iris: ModelVersion, believe: Callable[[timedelta], None], seconds: int) -> None:
    believe(timedelta(seconds=seconds))

    with pytest.raises(OperationalError):
        Q.accept([new(iris)])
    assert Q.count() == 0


def test_no_row_seems_to_be_claimed_before_it_was_accepted(iris: ModelVersion) -> None:
    clock.now()
    for _ in range(200):
        Q.accept([new(iris)])
        claimed()

    assert Q.filter(started_at__lt=F("created_at")).count() == 0


@pytest.mark.django_db(transaction=True)
def test_statement_that_a_frozen_server_executes_later_keeps_nothing(iris: ModelVersion) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no server")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [process] = cursor.fetchone()
    clock.now()

    os.kill(process, signal.SIGSTOP)
    try:
        with pytest.raises(OperationalError):
            Q.accept([new(iris)])
    finally:
        os.kill(process, signal.SIGCONT)

    connection.close()
    wait_until(lambda: not has_backend(process), 10, "the server has executed the statement")
    assert Q.count() == 0


def has_backend(process: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", [process])
        return bool(cursor.fetchone()[0])
