"""Readiness: whether this service accepts predictions and whether it answers them."""

import time
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from django.db import DatabaseError

from predictions.maintenance import canary
from predictions.models import Heartbeat, Lane
from predictions.models.heartbeat import WORKER
from predictions.queue import redis_client

FRESH_SECONDS = 1.0


@dataclass(frozen=True)
class Health:
    """The status is `ready`, `degraded` (answered, but slower) or `down` (not accepted or not answered)."""

    status: str
    database: str
    broker: str
    keeper_seconds: float | None
    worker_seconds: float | None
    canary_seconds: dict[str, float | None]

    @property
    def is_ready(self) -> bool:
        return self.status != "down"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


# The time of the last examination (monotonic) and its result.
_latest: tuple[float, Health] | None = None


def recent() -> Health:
    """The result of `examine`, cached for FRESH_SECONDS in this process: requests need no permission, and each
    examination writes to the database."""
    global _latest
    now = time.monotonic()
    if _latest is None or now - _latest[0] > FRESH_SECONDS:
        _latest = now, examine()
    return _latest[1]


def clear_cache() -> None:
    """Make the next call of `recent` examine again."""
    global _latest
    _latest = None


def examine() -> Health:
    """Write to the database, ping the broker, and read the ages of the last keeper sweep and of the last canaries.

    Canaries alone decide whether workers answer: a worker may send heartbeats and still answer nothing.
    """
    reachable = redis_client.is_reachable()
    try:
        Heartbeat.objects.beat("web")
        keeper = Heartbeat.objects.age("keeper")
        worker = min(Heartbeat.objects.ages(WORKER).values(), default=None)
        ages = {lane: canary.age(lane) for lane in Lane.values}
        fallback = Heartbeat.objects.fallback_lanes()
    except DatabaseError:
        return Health("down", "away", _broker_state(reachable), None, None, {})
    fresh = {name: age is not None and age < canary.STALE for name, age in {**ages, "keeper": keeper}.items()}
    is_well = reachable and all(fresh.values()) and not fallback
    status = "down" if not fresh[Lane.INTERACTIVE] else "ready" if is_well else "degraded"
    return Health(
        status,
        "writable",
        _broker_state(reachable),
        _seconds(keeper),
        _seconds(worker),
        {lane: _seconds(age) for lane, age in ages.items()},
    )


def _seconds(age: timedelta | None) -> float | None:
    return None if age is None else round(age.total_seconds(), 1)


def _broker_state(reachable: bool) -> str:
    return "reachable" if reachable else "away"
