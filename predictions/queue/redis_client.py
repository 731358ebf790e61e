"""The connection to Redis for notifications and announcements. Redis may be away: no caller waits for it for long."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import cache

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = logging.getLogger(__name__)

COMMAND_SECONDS = 1.0  # for one command
PAUSE_SECONDS = 3.0  # without commands after a failure
# A request waits at most so long for Redis: for the check of its rate, and for the announcement of a cancellation.
RATE_SECONDS = 0.2
ANNOUNCE_SECONDS = 0.3


@cache
def client() -> redis.Redis:
    """One connection pool for each process. A dropped connection is opened again once; a time-out is not repeated."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=COMMAND_SECONDS,
        socket_connect_timeout=COMMAND_SECONDS,
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        client_name="foretell",
    )


class Breaker:
    """A circuit breaker: after a failure no command is sent for a while, so that an outage delays few requests."""

    def __init__(self, pause: float = PAUSE_SECONDS) -> None:
        self._pause = pause
        self._open_until = 0.0
        self._lock = threading.Lock()

    def call(self, action: Callable[[], object], what: str) -> bool:
        """Call `action`; False if it failed, or if a call failed within the pause. `what` names it in the log."""
        if time.monotonic() < self._open_until:
            return False
        try:
            action()
        except Exception as error:  # noqa: BLE001 - the errors of kombu, redis-py and sockets have no common base
            self._trip(what, error)
            return False
        return True

    def _trip(self, what: str, error: Exception) -> None:
        with self._lock:
            self._open_until = time.monotonic() + self._pause
        logger.warning("Redis failed (%s: %s); the keeper takes over", what, type(error).__name__)

    def reset(self) -> None:
        self._open_until = 0.0


breaker = Breaker()


class Helper:
    """Runs commands one after the other in a thread of its own: a caller can give up waiting, the command goes on."""

    def __init__(self) -> None:
        self.executor = ThreadPoolExecutor(1, thread_name_prefix="redis")
        self._last: Future[bool] | None = None

    @property
    def is_late(self) -> bool:
        """Whether a command is under way for which a caller no longer waits."""
        return self._last is not None and not self._last.done()

    def run(self, action: Callable[[], bool], seconds: float) -> bool:
        """The result of `action`; False if it is not known within `seconds`, or an earlier command is late."""
        is_late = self.is_late
        self._last = future = self.executor.submit(copy_context().run, action)
        try:
            return future.result(0 if is_late else max(seconds, 0))
        except TimeoutError:
            return False


helper = Helper()


def is_reachable() -> bool:
    """Whether Redis accepts writes now. A Redis that is full answers a ping, but does not accept a write."""
    try:
        return bool(client().set("foretell:reachable", 1, ex=60))
    except redis.RedisError:
        return False
