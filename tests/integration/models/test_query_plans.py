"""The statements of the hot paths find their rows through the indexes that were made for them."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from predictions.maintenance import retention
from predictions.models import Lane, ModelVersion, Prediction
from predictions.use_cases import admission
from tests.support.query_plans import plans_of

Q = Prediction.objects


CASES: dict[str, tuple[Callable[[ModelVersion], Any], str]] = {
    "claim": (lambda _: Q.claim(Lane.INTERACTIVE, 64), "queue"),
    "waiting lanes": (lambda _: Q.waiting_lanes(timedelta(seconds=2)), "queue"),
    "stalled lanes": (lambda _: Q.stalled_lanes(timedelta(seconds=5)), "queue"),
    "count of the queue": (lambda _: Q.count_queued(), "queue"),
    "requeue": (lambda _: Q.requeue_lost(), "leases"),
    "fail exhausted": (lambda _: Q.fail_exhausted(), "leases"),
    "expire": (lambda _: Q.expire(), "deadlines"),
    "mine": (lambda _: list(Q.asked_by("visitor:7")[:50]), "mine"),
    "feed": (lambda _: list(Q.filter(finished_at__isnull=False).order_by("-finished_at")[:30]), "feed"),
    "retention": (lambda _: retention.prune(timedelta(days=1)), "feed"),
    "rate of settling": (lambda _: admission.retry_after(10), "feed"),
}


def test_stalled_lanes_look_at_no_history(crowd: ModelVersion) -> None:
    """There are three queries for each lane: for its queue, its leases, and the rows that ended lately."""
    Q.running().update(claimed_until=timezone.now() - timedelta(seconds=1))

    plans = plans_of(lambda: Q.stalled_lanes(timedelta(seconds=5)))

    assert len(plans) >= 3
    if connection.vendor == "sqlite":
        found = [re.findall(r"USING (?:COVERING )?INDEX (\w+)", plan) for plan in plans]
        assert found[:3] == [["queue"], ["leases"], ["feed"]]
    else:
        assert not any("Seq Scan" in plan for plan in plans)


@pytest.mark.parametrize("case", CASES)
def test_statement_uses_its_index(crowd: ModelVersion, case: str) -> None:
    action, index = CASES[case]

    plan = plans_of(lambda: action(crowd))[0]

    if connection.vendor == "sqlite":
        used = re.findall(r"USING (?:COVERING )?INDEX (\w+)", plan)
        assert [name for name in used if not name.startswith("sqlite_autoindex")] == [index], plan
    else:  # PostgreSQL chooses among several indexes that are good enough
        assert "Seq Scan on predictions_prediction" not in plan
        assert "Index" in plan
