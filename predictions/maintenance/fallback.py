"""Decides which lanes the fallback worker executes, by their progress.

A lane stands still when rows have waited too long while none of the lane is claimed. The reason does not matter: Redis
may be away, a key may have a wrong type or be out of date, workers may be frozen or absent. The fallback worker then
executes the lane, and the keys that may cause the standstill are deleted from Redis.
"""

import logging
import time
from collections.abc import Callable
from datetime import timedelta

from predictions.maintenance import lanes
from predictions.maintenance.runner import Done
from predictions.models import Lane
from predictions.queue import notifications, redis_client

logger = logging.getLogger(__name__)

STALLED_AFTER = timedelta(seconds=5)
# The fallback worker's own claims look like progress. So it keeps a lane for this long; then the rule decides again.
HOLD_SECONDS = 30.0


class Fallback:
    """Decides at each check which lanes the fallback worker executes.

    Args:
        execute: gives the fallback worker the lanes to execute now, those where people wait first. It replaces the
            lanes of the last call.
    """

    def __init__(self, execute: Callable[[list[str]], None]) -> None:
        self._execute = execute
        self._held_until = dict.fromkeys(Lane.values, 0.0)
        self._is_redis_away = False
        self._stalled: list[str] = []

    def check(self) -> Done:
        """Decide for each lane. Returns the number of lanes that the fallback worker is to execute."""
        self._set_redis_away(not redis_client.is_reachable())
        if not self._is_redis_away:
            self._apply_rule()
        active = self.active()
        waiting = [lane for lane in lanes.waiting(timedelta(0)) if lane in active]
        self._execute(waiting)
        return {"executed_for": len(waiting)}

    def active(self) -> list[str]:
        """The lanes that the fallback worker executes. Without Redis no worker is notified, so these are all."""
        now = time.monotonic()
        return [lane for lane, until in self._held_until.items() if self._is_redis_away or now < until]

    def _set_redis_away(self, is_away: bool) -> None:
        if is_away and not self._is_redis_away:
            logger.warning("Redis takes no commands: the fallback worker executes all lanes")
        self._is_redis_away = is_away

    def _apply_rule(self) -> None:
        """Take over the lanes that stood still at the last check too: a row that was just requeued looks like one that
        has waited since its creation, and the workers have been notified of it only now."""
        stalled = lanes.stalled(STALLED_AFTER)
        for lane in stalled:
            if lane in self._stalled:
                self._take_over(lane)
        self._stalled = stalled

    def _take_over(self, lane: str) -> None:
        is_new = lane not in self.active()
        self._held_until[lane] = time.monotonic() + HOLD_SECONDS
        cleared = notifications.clear_obstacles(lane)
        if is_new or cleared:
            logger.warning(
                "the lane %s stands still: rows wait for more than %.0f s and none is claimed; "
                "the fallback worker executes it; deleted in Redis: %s",
                lane,
                STALLED_AFTER.total_seconds(),
                ", ".join(cleared) or "nothing",
            )
