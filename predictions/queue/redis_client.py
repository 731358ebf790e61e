"""The connection to Redis that doorbells and announcements share. Redis may be away: nobody waits for it."""

import logging
import threading
import time
from collections.abc import Callable
from functools import cache

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = logging.getLogger(__name__)

PATIENCE = 1.0  # seconds for one command
PAUSE = 3.0  # seconds in which nobody asks again after a failure


@cache
def client() -> redis.Redis:
    """One pool for each process. A dropped connection is tried once more, a silent server is not."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=PATIENCE,
        socket_connect_timeout=PATIENCE,
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        client_name="foretell",
    )


class Breaker:
    """After a failure, answers "away" at once for a while, so that an outage costs one request a second, not all."""

    def __init__(self, pause: float = PAUSE) -> None:
        self._pause = pause
        self._closed_until = 0.0
        self._lock = threading.Lock()

    def call(self, action: Callable[[], object], what: str) -> bool:
        """Do `action`; False if Redis is away, or was a moment ago."""
        if time.monotonic() < self._closed_until:
            return False
        try:
            action()
        except Exception as error:  # noqa: BLE001 - kombu, redis-py and the sockets each have errors of their own
            self._open(what, error)
            return False
        return True

    def _open(self, what: str, error: Exception) -> None:
        with self._lock:
            self._closed_until = time.monotonic() + self._pause
        logger.warning("Redis is away (%s: %s); the keeper takes over", what, type(error).__name__)

    def reset(self) -> None:
        self._closed_until = 0.0


breaker = Breaker()


def is_reachable() -> bool:
    """Whether Redis takes messages now, as one that is full does not; asked by the keeper before each sweep."""
    try:
        return bool(client().set("foretell:reachable", 1, ex=60))
    except redis.RedisError:
        return False
