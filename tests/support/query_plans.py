"""A table as large as in service, and the plans by which the database reads it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from predictions.models import ModelVersion, Prediction, State


def add_history(version: ModelVersion) -> None:
    """As in service: a long history, and a few rows that wait or run."""
    counts = {State.SUCCEEDED: 3000, State.QUEUED: 20, State.RUNNING: 20}
    Prediction.objects.bulk_create(
        row(version, state, number) for state, count in counts.items() for number in range(count)
    )
    count_rows()


def count_rows() -> None:
    """PostgreSQL has no plans of use before it has counted."""
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
    """The plan of each statement of `action` as it is truly sent: with its values bound, not written into it."""
    plans: list[str] = []
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"

    def ask(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(("SELECT", "UPDATE")):
            cursor = context["cursor"].cursor  # the driver's own: this statement is nobody else's to see
            context["cursor"].cursor.execute(f"{explain} {sql}", params)
            plans.append("\n".join(str(row[-1]) for row in cursor.fetchall()))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(ask):
        action()
    return plans
