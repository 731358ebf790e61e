"""Statements that PostgreSQL keeps for a connection, and the plans that it keeps for them."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from django.db import ProgrammingError, connection, transaction
from django.test.utils import CaptureQueriesContext

from predictions.models import Lane, ModelVersion, Prediction, State, prepared
from predictions.models.claim import Predicted
from predictions.serving.engines.predictor import Outcome
from tests.integration.conftest import SETOSA, make
from tests.support.query_plans import count_rows, plans_of, row

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's driver keeps statements by itself"),
]
MANY = 3000


def serve_one(version: ModelVersion) -> None:
    waiting = make(version)
    claim = Prediction.objects.claim(Lane.INTERACTIVE, 64)
    assert claim
    Prediction.objects.settle([Predicted(claim, [Outcome(SETOSA, None)], 1.0)])
    waiting.refresh_from_db()
    assert waiting.state == State.SUCCEEDED


def prepared_in(action: Callable[[], None]) -> list[str]:
    """The names of what is prepared, without their numbers."""
    with CaptureQueriesContext(connection) as captured:
        action()
    sent = (query["sql"] for query in captured.captured_queries)
    return [sql.split()[1].rstrip("0123456789") for sql in sent if sql.startswith("PREPARE")]


def test_statement_is_prepared_once_for_a_connection(iris: ModelVersion) -> None:
    serve_one(iris)

    again = prepared_in(lambda: serve_one(iris))
    connection.close()
    in_another = prepared_in(lambda: serve_one(iris))

    assert (again, in_another) == ([], ["claim_", "settle_"])


def test_connection_that_was_used_before_has_its_statements(iris: ModelVersion) -> None:
    serve_one(iris)
    first, connection.connection = connection.connection, None
    serve_one(iris)
    connection.close()
    connection.connection = first

    assert prepared_in(lambda: serve_one(iris)) == []


def test_statement_that_was_prepared_in_a_transaction_outlives_its_end(iris: ModelVersion) -> None:
    connection.close()
    with transaction.atomic():
        serve_one(iris)
        transaction.set_rollback(True)

    assert prepared_in(lambda: serve_one(iris)) == []


def test_connection_that_lost_its_statements_serves_after_one_error(iris: ModelVersion) -> None:
    """As by a pooler, or by DISCARD ALL."""
    serve_one(iris)
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")

    with pytest.raises(ProgrammingError, match="does not exist"):
        Prediction.objects.claim(Lane.INTERACTIVE, 64)
    serve_one(iris)


def test_percent_sign_in_a_statement_is_one() -> None:
    with connection.cursor() as cursor:
        prepared.execute(cursor, "percent", "SELECT 'a%%b' = %s, %s::int", ["a%b", 7])
        assert cursor.fetchone() == (True, 7)


@pytest.mark.parametrize("analyzed", [0, 1, 8])
def test_plan_for_a_small_table_reads_no_large_one(
    iris: ModelVersion, monkeypatch: pytest.MonkeyPatch, analyzed: int
) -> None:
    """PostgreSQL makes its kept plan after five runs. Nothing analyses the table again."""
    connection.close()
    for _ in range(analyzed):
        serve_one(iris)
    count_rows()
    for _ in range(8):
        serve_one(iris)
    Prediction.objects.bulk_create(row(iris, State.SUCCEEDED, number) for number in range(MANY))

    later = prepared.time.monotonic() + prepared.PLAN_SECONDS + 1
    monkeypatch.setattr(prepared.time, "monotonic", lambda: later)

    plans = plans_of(lambda: serve_one(iris))

    kept = [plan for plan in plans if plan.startswith("Update on predictions_prediction")]
    assert len(kept) == 2
    assert [step for plan in kept for step in whole_reads(plan)] == []


def whole_reads(plan: str) -> list[str]:
    """The steps of a plan that read all rows: of the table, or of its primary key without a condition."""
    lines = [*plan.splitlines(), ""]
    return [
        step
        for step, following in pairwise(lines)
        if "Seq Scan on predictions_prediction" in step
        or ("predictions_prediction_pkey" in step and "Index Cond" not in following)
    ]
