"""Admission: a rate limit for each caller and a bound on queued rows, checked before a row is committed."""

import asyncio
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.db.models.functions import Now
from limits import RateLimitItem, parse
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter

from predictions.models import Prediction
from predictions.models.prediction import PredictionQuerySet
from predictions.queue.redis_client import PAUSE_SECONDS, RATE_SECONDS, breaker, client, helper
from predictions.serving.schema.errors import QueueFull, TooMany, TooManyRows
from predictions.use_cases.callers import Caller

# A count of the queue is used again for this long, if the queue was far from full.
FRESH_SECONDS = 0.2
# The rate at which predictions settle is measured over this time.
RATE_WINDOW = timedelta(seconds=30)
SHORTEST_WAIT, LONGEST_WAIT = 1, 300


def admit(caller: Caller, rows: int, rate_until: float) -> None:
    """Admit `rows` rows of a caller. A caller without an account is limited by its address as well.

    Args:
        rate_until: the monotonic time until which Redis may answer about the rate. Without an answer the rate does not
            limit the caller.

    Raises:
        TooManyRows: more rows than can ever be admitted at one time.
        TooMany: the caller exceeds SUBMIT_RATE. Not raised while Redis is away.
        QueueFull: too many rows are queued, of this caller or in all; `retry_after` says when there may be room.
    """
    rate = parse(settings.SUBMIT_RATE) if settings.SUBMIT_RATE else None
    most = min([_most_queued(), *([rate.amount] if rate else [])])
    if rows > most:
        raise TooManyRows(most)
    if rate:
        for name in caller.limited_as:
            _check_rate(rate, name, rows, rate_until - time.monotonic())
    _check_queue(caller, rows)


def _most_queued() -> int:
    """The most rows of one caller that may be queued."""
    return min(settings.MAX_QUEUED, settings.MAX_QUEUED_PER_CALLER)


# --- The rate ---------------------------------------------------------------------------------------------------------
@cache
def _limiter() -> MovingWindowRateLimiter:
    """The rate limiter. It counts atomically in Redis, so all web processes share one count."""
    return MovingWindowRateLimiter(RedisStorage(settings.REDIS_URL, connection_pool=client().connection_pool))


def _check_rate(rate: RateLimitItem, caller: str, rows: int, seconds: float) -> None:
    reset_at: float | None = None

    def hit() -> None:
        nonlocal reset_at
        if not _limiter().hit(rate, caller, cost=rows):
            reset_at = _limiter().get_window_stats(rate, caller).reset_time

    # Without time to wait for its result, the check is skipped: it would only delay the commands after it.
    if seconds > 0 and not helper.is_late and helper.run(lambda: breaker.call(hit, "rate"), seconds) and reset_at:
        raise TooMany(_bounded(reset_at - time.time()))


@dataclass(frozen=True)
class RateState:
    """How much of SUBMIT_RATE a caller has left."""

    limit: int
    remaining: int
    reset_seconds: int
    window_seconds: int


async def rate_state(caller: Caller) -> RateState | None:
    """The state of a caller; None while Redis is away or too slow. Then no request asks for it for some seconds."""
    global _no_state_until
    if time.monotonic() < _no_state_until:
        return None
    reading = asyncio.get_running_loop().run_in_executor(_state_readers, _read_state, caller)
    try:
        return await asyncio.wait_for(reading, RATE_SECONDS)
    except TimeoutError:
        _no_state_until = time.monotonic() + PAUSE_SECONDS
        return None


# Separate threads, so that a slow Redis holds up neither the reading of rows nor the checks of the rate.
_state_readers = ThreadPoolExecutor(2, thread_name_prefix="rate-state")
_no_state_until = -math.inf


def _read_state(caller: Caller) -> RateState | None:
    rate = parse(settings.SUBMIT_RATE)
    seen: list[Any] = []

    def look() -> None:
        seen.extend(_limiter().get_window_stats(rate, name) for name in caller.limited_as)

    if not breaker.call(look, "rate"):
        return None
    least = min(seen, key=lambda stats: stats.remaining)
    reset = max(math.ceil(least.reset_time - time.time()), 0)
    return RateState(rate.amount, max(least.remaining, 0), reset, rate.get_expiry())


# --- The queue --------------------------------------------------------------------------------------------------------
class _Backlog:
    """How many rows are queued. They are counted again if the count is old, or the queue may be nearly full."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._read_at = -math.inf

    def add(self, rows: int, most: int) -> int:
        """The number of queued rows together with these new ones.

        It is computed from a recent count only while it is at most half of `most`.
        """
        now = time.monotonic()
        with self._lock:
            if now - self._read_at < FRESH_SECONDS and self._count + rows <= most // 2:
                self._count += rows
                return self._count
        count = Prediction.objects.count_queued()
        with self._lock:
            self._count, self._read_at = count + rows, now
        return count + rows

    def remove(self, rows: int) -> None:
        """Subtract rows that were added and then refused."""
        with self._lock:
            self._count -= rows


_backlog = _Backlog()


def _check_queue(caller: Caller, rows: int) -> None:
    queued = _backlog.add(rows, _most_queued())
    surplus = queued - settings.MAX_QUEUED
    if surplus <= 0 and queued > settings.MAX_QUEUED_PER_CALLER:
        surplus = max(own.count() for own in _queued_of(caller)) + rows - settings.MAX_QUEUED_PER_CALLER
    if surplus > 0:
        _backlog.remove(rows)
        raise QueueFull(retry_after(surplus))


def _queued_of(caller: Caller) -> list[PredictionQuerySet]:
    queued = Prediction.objects.queued()
    of_address = [] if caller.address is None else [queued.filter(address=caller.address)]
    return [queued.filter(caller=caller.key), *of_address]


def retry_after(surplus: int) -> int:
    """Seconds until `surplus` rows are settled, at the rate of the last half minute; `LONGEST_WAIT` if none were."""
    settled = Prediction.objects.filter(finished_at__gt=Now() - RATE_WINDOW).count()
    return _bounded(surplus * RATE_WINDOW.total_seconds() / settled) if settled else LONGEST_WAIT


def _bounded(seconds: float) -> int:
    return min(max(math.ceil(seconds), SHORTEST_WAIT), LONGEST_WAIT)


def reset() -> None:
    """Forget what this process knows of the queue and of the rates. For tests."""
    global _backlog, _no_state_until
    _backlog, _no_state_until = _Backlog(), -math.inf
    _limiter.cache_clear()
