"""Admission: a rate limit for each caller and a bound on queued rows, checked before a row is committed."""

import math
import threading
import time
from datetime import timedelta
from functools import cache

from django.conf import settings
from django.db.models.functions import Now
from limits import RateLimitItem, parse
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter

from predictions.models import Prediction
from predictions.queue.redis_client import breaker, client, helper
from predictions.serving.schema.errors import QueueFull, TooMany

# A count of the queue is believed for so long, if it was far from full.
FRESH_SECONDS = 0.2
# The rate at which predictions settle is that of the last so many seconds.
RATE_WINDOW = timedelta(seconds=30)
SHORTEST_WAIT, LONGEST_WAIT = 1, 300


def admit(caller: str, rows: int, rate_until: float) -> None:
    """Let `rows` rows of a caller in.

    Args:
        rate_until: the monotonic time until which Redis may answer about the rate. A caller is let in without it.

    Raises:
        TooMany: the caller asks too fast. While Redis is away nobody is too fast.
        QueueFull: as many rows wait as may, of this caller or in all; `retry_after` says when there may be room.
    """
    if settings.SUBMIT_RATE:
        _check_rate(parse(settings.SUBMIT_RATE), caller, rows, rate_until - time.monotonic())
    _check_queue(caller, rows)


# --- The rate ---------------------------------------------------------------------------------------------------------
@cache
def _limiter() -> MovingWindowRateLimiter:
    """Counts in Redis, atomically: many web processes share one count."""
    return MovingWindowRateLimiter(RedisStorage(settings.REDIS_URL, connection_pool=client().connection_pool))


def _check_rate(rate: RateLimitItem, caller: str, rows: int, seconds: float) -> None:
    reset_at: float | None = None

    def hit() -> None:
        nonlocal reset_at
        if not _limiter().hit(rate, caller, cost=rows):
            reset_at = _limiter().get_window_stats(rate, caller).reset_time

    # A hit that is not waited for would only lengthen the line of commands.
    if seconds > 0 and not helper.is_late and helper.run(lambda: breaker.call(hit, "rate"), seconds) and reset_at:
        raise TooMany(_bounded(reset_at - time.time()))


# --- The queue --------------------------------------------------------------------------------------------------------
class _Backlog:
    """How many rows are queued, counted anew when it matters."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._read_at = -math.inf

    def add(self, rows: int, most: int) -> int:
        """The number of queued rows with these; believed from a moment ago only while it is below half of `most`."""
        now = time.monotonic()
        with self._lock:
            if now - self._read_at < FRESH_SECONDS and self._count + rows <= most // 2:
                self._count += rows
                return self._count
        count = Prediction.objects.queued().count()
        with self._lock:
            self._count, self._read_at = count + rows, now
        return count + rows


_backlog = _Backlog()


def _check_queue(caller: str, rows: int) -> None:
    queued = _backlog.add(rows, settings.MAX_QUEUED_PER_CALLER)
    if queued > settings.MAX_QUEUED:
        raise QueueFull(retry_after(queued - settings.MAX_QUEUED))
    if queued > settings.MAX_QUEUED_PER_CALLER:
        own = Prediction.objects.queued().filter(caller=caller).count() + rows
        if own > settings.MAX_QUEUED_PER_CALLER:
            raise QueueFull(retry_after(own - settings.MAX_QUEUED_PER_CALLER))


def retry_after(surplus: int) -> int:
    """Seconds in which `surplus` rows are settled at the rate of the last half minute; the longest if none were."""
    settled = Prediction.objects.filter(finished_at__gt=Now() - RATE_WINDOW).count()
    return _bounded(surplus * RATE_WINDOW.total_seconds() / settled) if settled else LONGEST_WAIT


def _bounded(seconds: float) -> int:
    return min(max(math.ceil(seconds), SHORTEST_WAIT), LONGEST_WAIT)


def reset() -> None:
    """Begin to count anew."""
    global _backlog
    _backlog = _Backlog()
    _limiter.cache_clear()
