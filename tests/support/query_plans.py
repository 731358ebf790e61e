"""A long history of predictions, and the query plans of the database."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from predictions.models import ModelVersion, Prediction, State


def add_history(version: ModelVersion) -> None:
    """Add many finished predictions and a few queued and running ones."""
    counts = {State.SUCCEEDED: 3000, State.QUEUED: 20, State.RUNNING: 20}
    Prediction.objects.bulk_create(
        row(version, state, number) for state, count in counts.items() for number in range(count)
    )
    count_rows()


def count_rows() -> None:
    """Update the statistics of PostgreSQL: without them its plans differ from those in production."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE predictions_prediction")


def row(version: ModelVersion, state: State, number: int) -> Prediction:
    now = timezone.now() - timedelta(seconds=number)
    ended = state == State.SUCCEEDED
    return Prediction(
        version=version,
        state=state,
        caller=f"visitor:{number % 100}",
        source="form",
        values=[],
        created_at=now,
        deadline_at=now + timedelta(seconds=300),
        finished_at=now if ended else None,
        claimed_until=now + timedelta(seconds=60) if state == State.RUNNING else None,
    )


def plans_of(action: Callable[[], Any]) -> list[str]:
    """The plan of each statement of `action`, with bound parameters as in production."""
    plans: list[str] = []
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"

    def explain_statement(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.lstrip().startswith(("SELECT", "UPDATE", "WITH")):
            cursor = context["cursor"].cursor  # the cursor of the driver, so that no wrapper sees this statement
            context["cursor"].cursor.execute(f"{explain} {sql}", params)
            plans.append("\n".join(str(row[-1]) for row in cursor.fetchall()))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain_statement):
        action()
    return plans
