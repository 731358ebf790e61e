"""The keeper: a small process that ends what nobody ends and rings for what nobody took.

It needs the database only. While Redis is away it claims and executes by itself, so predictions still finish.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError, connection

from predictions.maintenance import canary, retention, rollups
from predictions.models import Heartbeat, IdempotencyKey, ModelVersion, Prediction
from predictions.queue import completions, notifications, redis_client

logger = logging.getLogger(__name__)

# Rows queued for longer than this have been overlooked, or the workers are busy.
OVERLOOKED = timedelta(seconds=2)
# How often a version that does not serve is tried again.
EXAMINE_SECONDS = 30.0
# What one sweep spends on what is past its retention, at most.
PRUNE_SECONDS = 0.2
# Expired idempotency keys that one sweep deletes at most.
KEYS_PER_SWEEP = 1000


@dataclass
class Sweep:
    """What one sweep did."""

    requeued: int = 0
    lost: int = 0
    expired: int = 0
    reminded: int = 0
    executed_for: int = 0
    pruned: int = 0

    def __str__(self) -> str:
        done = {name.replace("_", " "): count for name, count in vars(self).items() if count}
        return ", ".join(f"{count} {name}" for name, count in done.items()) or "nothing to do"


class Keeper:
    """
    Args:
        seconds: between two sweeps.
        serve: executes the queued rows of a lane, for one slice; used only while Redis is away.
    """

    def __init__(self, seconds: float, serve: Callable[[str], bool]) -> None:
        self._seconds = seconds
        self._serve = serve
        self._examined_at = 0.0

    def run(self) -> None:
        """Sweep for ever. A database that is away is tried again at the next sweep."""
        while True:
            try:
                Heartbeat.objects.beat("keeper")
                canary.send()
                rollups.update()
                IdempotencyKey.objects.remove_expired(KEYS_PER_SWEEP)
                sweep = self.sweep()
                if sweep != Sweep():
                    logger.info("swept: %s", sweep)
            except DatabaseError as error:
                logger.warning("the database is away: %s", type(error).__name__)
                connection.close()
            time.sleep(self._seconds)

    def sweep(self) -> Sweep:
        sweep = Sweep()
        lost = Prediction.objects.fail_exhausted()
        expired = Prediction.objects.expire()
        sweep.lost, sweep.expired = len(lost), len(expired)
        sweep.requeued = len(Prediction.objects.requeue_lost())
        if redis_client.is_reachable():
            completions.announce([*lost, *expired]) if lost or expired else None
            sweep.reminded = self._remind()
            self._examine()
        else:
            sweep.executed_for = self._execute()
        if settings.RETENTION is not None:
            sweep.pruned = retention.prune(settings.RETENTION, PRUNE_SECONDS)
        return sweep

    def _remind(self) -> int:
        return sum(notifications.renotify(lane) for lane in Prediction.objects.waiting_lanes(OVERLOOKED))

    def _execute(self) -> int:
        """Without Redis no worker is notified: execute a slice of each lane that has queued rows."""
        waiting = Prediction.objects.waiting_lanes(timedelta(0))
        for lane in waiting:
            self._serve(lane)
        return len(waiting)

    def _examine(self) -> None:
        if time.monotonic() - self._examined_at < EXAMINE_SECONDS:
            return
        self._examined_at = time.monotonic()
        for version in ModelVersion.objects.champions().exclude(unavailable_reason=""):
            notifications.ask_to_examine(version.pk)
