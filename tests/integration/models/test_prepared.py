"""Statements that PostgreSQL keeps for a connection, and the plans that it keeps for them."""

from collections.abc import Callable, Iterator

import pytest
from django.db import connection, transaction
from django.db.backends.signals import connection_created
from django.test.utils import CaptureQueriesContext

from predictions.models import Lane, ModelVersion, Prediction, State
from predictions.models.claim import Predicted
from predictions.serving.engines.predictor import Outcome
from predictions.worker import preload
from tests.integration.conftest import SETOSA, make
from tests.support.query_plans import count_rows, plans_of, row

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's driver keeps statements by itself"),
]
MANY = 3000


@pytest.fixture
def worker() -> Iterator[None]:
    """The connection of a process that drains."""
    preload.tune_connections()
    connection.close()
    yield
    connection_created.disconnect(dispatch_uid="connections that drain")
    connection.close()


def serve_one(version: ModelVersion) -> None:
    waiting = make(version)
    claim = Prediction.objects.claim(Lane.INTERACTIVE, 64)
    assert claim
    Prediction.objects.settle([Predicted(claim, [Outcome(SETOSA, None)], 1.0)])
    waiting.refresh_from_db()
    assert waiting.state == State.SUCCEEDED


def prepared_in(action: Callable[[], None]) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        action()
    sent = (query["sql"] for query in captured.captured_queries)
    return [sql.partition(" AS ")[0] for sql in sent if sql.startswith("PREPARE")]


def test_statement_is_prepared_once_for_a_connection(iris: ModelVersion) -> None:
    serve_one(iris)

    again = prepared_in(lambda: serve_one(iris))
    connection.close()
    in_another = prepared_in(lambda: serve_one(iris))

    assert (again, in_another) == ([], ["PREPARE claim_0", "PREPARE settle_1"])


def test_statement_that_was_prepared_in_a_transaction_outlives_its_end(iris: ModelVersion) -> None:
    connection.close()
    with transaction.atomic():
        serve_one(iris)
        transaction.set_rollback(True)

    serve_one(iris)


@pytest.mark.usefixtures("worker")
def test_plan_for_a_small_table_reads_no_large_one(iris: ModelVersion) -> None:
    """PostgreSQL makes its kept plan after five runs. Until the table is analysed again, nothing replaces it."""
    for _ in range(8):
        serve_one(iris)
    count_rows()
    for _ in range(8):
        serve_one(iris)
    Prediction.objects.bulk_create(row(iris, State.SUCCEEDED, number) for number in range(MANY))

    plans = plans_of(lambda: serve_one(iris))

    kept = [plan for plan in plans if plan.startswith("Update on predictions_prediction")]
    assert len(kept) == 2
    assert not any("Seq Scan on predictions_prediction" in plan for plan in kept)
