"""The statements of the hot paths find their rows through the indexes that were made for them."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from predictions.maintenance import retention
from predictions.models import Lane, ModelVersion, Prediction, RegisteredModel, State
from predictions.use_cases import admission

Q = Prediction.objects


@pytest.fixture
def crowd(registered: dict[str, RegisteredModel]) -> ModelVersion:
    """As in service: a long history, and a few rows that wait or run."""
    version = registered["iris"].champion
    assert version
    counts = {State.SUCCEEDED: 3000, State.QUEUED: 20, State.RUNNING: 20}
    Q.bulk_create(row(version, state, number) for state, count in counts.items() for number in range(count))
    count_rows()
    return version


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


CASES: dict[str, tuple[Callable[[ModelVersion], Any], str]] = {
    "claim": (lambda _: Q.claim(Lane.INTERACTIVE, 64), "queue"),
    "waiting lanes": (lambda _: Q.waiting_lanes(timedelta(seconds=2)), "queue"),
    "count of the queue": (lambda _: Q.queued().count(), "queue"),
    "requeue": (lambda _: Q.requeue_lost(), "leases"),
    "fail exhausted": (lambda _: Q.fail_exhausted(), "leases"),
    "expire": (lambda _: Q.expire(), "deadlines"),
    "mine": (lambda _: list(Q.asked_by("visitor:7")[:50]), "mine"),
    "feed": (lambda _: list(Q.filter(finished_at__isnull=False).order_by("-finished_at")[:30]), "feed"),
    "retention": (lambda _: retention.prune(timedelta(days=1)), "feed"),
    "rate of settling": (lambda _: admission.retry_after(10), "feed"),
}


@pytest.mark.parametrize("case", CASES)
def test_statement_uses_its_index(crowd: ModelVersion, case: str) -> None:
    action, index = CASES[case]

    plan = plans_of(lambda: action(crowd))[0]

    if connection.vendor == "sqlite":
        assert re.findall(r"USING (?:COVERING )?INDEX (\w+)", plan) == [index], plan
    else:  # which chooses among several that are good enough
        assert "Seq Scan" not in plan
        assert "Index" in plan
