"""Prepared statements of a connection to PostgreSQL, and the plans that it keeps for them."""

from itertools import pairwise

import pytest
from django.db import ProgrammingError, connection, transaction

from predictions.models import Lane, ModelVersion, Prediction, State
from predictions.models.claim import Predicted
from predictions.models.kept_statement import KeptStatement
from predictions.serving.engines.predictor import Outcome
from tests.integration.conftest import SETOSA, make
from tests.support.query_plans import count_rows, row

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's driver keeps statements by itself"),
]
MANY = 3000
# Parameters that match no row: the tests read the plan and change nothing.
NOBODY = "00000000-0000-7000-8000-000000000000"
PARAMETERS = {"claim": f"('interactive', '{NOBODY}', '25 seconds')", "settle": f"(now(), 'here', '[]', '{NOBODY}')"}


def serve_one(version: ModelVersion) -> None:
    waiting = make(version)
    claim = Prediction.objects.claim(Lane.INTERACTIVE, 64)
    assert claim
    Prediction.objects.settle([Predicted(claim, [Outcome(SETOSA, None)], 1.0)])
    waiting.refresh_from_db()
    assert waiting.state == State.SUCCEEDED


def kept() -> list[str]:
    """The names of the statements that the connection has prepared, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_prepared_statements ORDER BY prepare_time, name")
        return [name for (name,) in cursor.fetchall()]


def kinds(names: list[str]) -> list[str]:
    return [name.partition("_")[0] for name in names]


def test_statement_is_prepared_once_for_a_connection(iris: ModelVersion) -> None:
    connection.close()
    serve_one(iris)
    first = kept()
    serve_one(iris)
    assert (kinds(first), kept()) == (["claim", "settle"], first)

    connection.close()
    serve_one(iris)
    assert kinds(kept()) == ["claim", "settle"]


def test_connection_that_was_used_before_has_its_statements(iris: ModelVersion) -> None:
    connection.close()
    serve_one(iris)
    before, first = kept(), connection.connection
    connection.connection = None
    serve_one(iris)
    connection.close()
    connection.connection = first

    serve_one(iris)
    assert kept() == before


def test_statement_that_was_prepared_in_a_transaction_outlives_its_end(iris: ModelVersion) -> None:
    connection.close()
    with transaction.atomic():
        serve_one(iris)
        transaction.set_rollback(True)
    before = kept()

    serve_one(iris)
    assert kept() == before


def test_connection_that_lost_its_statements_serves_after_one_error(iris: ModelVersion) -> None:
    """A connection may lose its prepared statements by a pooler, or by DISCARD ALL."""
    serve_one(iris)
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")

    with pytest.raises(ProgrammingError, match="does not exist"):
        Prediction.objects.claim(Lane.INTERACTIVE, 64)
    serve_one(iris)


def test_percent_sign_in_a_statement_is_one() -> None:
    with connection.cursor() as cursor:
        cursor.execute(KeptStatement("percent", "SELECT 'a%%b' = %s, %s::int"), ["a%b", 7])
        assert cursor.fetchone() == (True, 7)


@pytest.mark.parametrize("analyzed", [0, 1, 8])
def test_plan_for_a_small_table_reads_no_large_one(
    iris: ModelVersion, monkeypatch: pytest.MonkeyPatch, analyzed: int
) -> None:
    """Nothing analyses the table again."""
    connection.close()
    for _ in range(analyzed):
        serve_one(iris)
    count_rows()
    for _ in range(8):
        serve_one(iris)
    Prediction.objects.bulk_create(row(iris, State.SUCCEEDED, number) for number in range(MANY))

    monkeypatch.setattr("project.db.postgresql.cursor.PLAN_SECONDS", 0.0)
    serve_one(iris)

    names = kept()
    assert kinds(names) == ["claim", "settle"]
    assert [step for name in names for step in whole_reads(name)] == []


def test_plan_is_made_once_and_kept_while_the_table_grows(iris: ModelVersion) -> None:
    connection.close()
    for number in range(8):
        Prediction.objects.bulk_create(row(iris, State.SUCCEEDED, number) for _ in range(100))
        serve_one(iris)

    with connection.cursor() as cursor:
        cursor.execute("SELECT custom_plans, generic_plans FROM pg_prepared_statements")
        assert cursor.fetchall() == [(0, 8), (0, 8)]


@pytest.mark.parametrize("running", [0, 20])
@pytest.mark.parametrize("ended", [1000, MANY])
def test_settle_finds_each_row_by_its_primary_key(iris: ModelVersion, running: int, ended: int) -> None:
    """Not by the index of running rows, which has an entry for each row that was claimed since the last VACUUM."""
    connection.close()
    counts = {State.RUNNING: running, State.SUCCEEDED: ended}
    Prediction.objects.bulk_create(row(iris, state, number) for state in counts for number in range(counts[state]))
    count_rows()
    serve_one(iris)

    reads = [line for line in plan(kept()[-1]) if "Scan" in line and "json_to_recordset" not in line]

    assert len(reads) == 1
    assert "Index Scan using predictions_prediction_pkey" in reads[0]


def whole_reads(name: str) -> list[str]:
    """The steps of a kept plan that read all rows: of the table, or of its primary key without a condition."""
    return [
        step
        for step, following in pairwise([*plan(name), ""])
        if "Seq Scan on predictions_prediction" in step
        or ("predictions_prediction_pkey" in step and "Index Cond" not in following)
    ]


def plan(name: str) -> list[str]:
    """The lines of a kept plan."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN EXECUTE {name}{PARAMETERS[name.partition('_')[0]]}")
        return [line for (line,) in cursor.fetchall()]
