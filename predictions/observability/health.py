"""Whether predictions are accepted, and whether they are answered."""

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
    """`ready`: all is well. `degraded`: accepted and answered, but slower. `down`: not accepted, or not answered."""

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


_latest: tuple[float, Health] | None = None


def recent() -> Health:
    """`examine`, once a second at most in this process: anybody may ask, and each look writes."""
    global _latest
    now = time.monotonic()
    if _latest is None or now - _latest[0] > FRESH_SECONDS:
        _latest = now, examine()
    return _latest[1]


def forget() -> None:
    """Look anew."""
    global _latest
    _latest = None


def examine() -> Health:
    """One look: a write to the database, a word with the broker, the ages of the keeper's sweep and of the canaries.

    Of the workers only the canaries decide: one that beats but answers nothing is of no use.
    """
    reachable = redis_client.is_reachable()
    try:
        Heartbeat.objects.beat("web")
        keeper = Heartbeat.objects.age("keeper")
        worker = min(Heartbeat.objects.ages(WORKER).values(), default=None)
        ages = {lane: canary.age(lane) for lane in Lane.values}
        fallback = Heartbeat.objects.fallback_lanes()
    except DatabaseError:
        return Health("down", "away", _word(reachable), None, None, {})
    fresh = {name: age is not None and age < canary.STALE for name, age in {**ages, "keeper": keeper}.items()}
    is_well = reachable and all(fresh.values()) and not fallback
    status = "down" if not fresh[Lane.INTERACTIVE] else "ready" if is_well else "degraded"
    return Health(
        status,
        "writable",
        _word(reachable),
        _seconds(keeper),
        _seconds(worker),
        {lane: _seconds(age) for lane, age in ages.items()},
    )


def _seconds(age: timedelta | None) -> float | None:
    return None if age is None else round(age.total_seconds(), 1)


def _word(reachable: bool) -> str:
    return "reachable" if reachable else "away"
