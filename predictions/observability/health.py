"""Readiness: whether this service accepts predictions and whether it answers them."""

import time
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from django.db import DatabaseError

from predictions.maintenance import canary, lanes
from predictions.models import Heartbeat
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
    stalled: list[str]

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
    """Write to the database and to Redis. Read the ages of the heartbeats of the keeper and of the workers, the age of
    the last canary, and the lanes that stand still.

    Canaries alone decide whether people are answered: a worker may send heartbeats and still answer nothing.
    """
    reachable = redis_client.is_reachable()
    try:
        Heartbeat.objects.beat("web")
        keeper = Heartbeat.objects.age("keeper")
        worker = min(Heartbeat.objects.ages(WORKER).values(), default=None)
        age = canary.age()
        stalled = lanes.standing_still(canary.STALE)
        fallback = Heartbeat.objects.fallback_lanes()
    except DatabaseError:
        return Health("down", "away", _broker_state(reachable), None, None, {}, [])
    is_well = reachable and _is_fresh(keeper) and not (fallback or stalled)
    status = "down" if not _is_fresh(age) else "ready" if is_well else "degraded"
    return Health(
        status,
        "writable",
        _broker_state(reachable),
        _seconds(keeper),
        _seconds(worker),
        {canary.LANE: _seconds(age)},
        stalled,
    )


def _is_fresh(age: timedelta | None) -> bool:
    return age is not None and age < canary.STALE


def _seconds(age: timedelta | None) -> float | None:
    return None if age is None else round(age.total_seconds(), 1)


def _broker_state(reachable: bool) -> str:
    return "reachable" if reachable else "away"
