"""Celery's transport over Redis, in which a message that Celery did not write cannot end the worker.

Patches private parts of kombu.transport.redis and kombu.transport.virtual. A message that cannot be read raises an
exception in the worker's event loop. There, every exception except a connection error ends the worker. A message that
raises after it was registered as delivered is never acknowledged, so it counts towards the prefetch limit for good.
After some such messages the worker takes no further message.

Upstream: celery/kombu issue 1247 describes the same end of a worker after an error reply of Redis. No issue about
messages of a wrong shape is known.
Remove the patch when `tests/worker/test_garbage.py` passes with kombu's own transport.
"""

import logging
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis

logger = logging.getLogger(__name__)

# The exceptions that a message of a wrong shape can cause while it is read.
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, AssertionError)


class Channel(redis.Channel):
    def _brpop_read(self, **options: Any) -> Any:
        """Deliver the message that Redis has sent, or drop it if it is not a message of Celery."""
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]
        except UNREADABLE as error:
            _log(error)
            return True


class Transport(redis.Transport):
    Channel = Channel

    def _deliver(self, message: Any, queue: str) -> None:
        """Deliver a message. If its shape causes an error after it was registered as delivered, reject it."""
        try:
            super()._deliver(message, queue)  # type: ignore[no-untyped-call]
        except UNREADABLE as error:
            _log(error)
            tag = message["properties"]["delivery_tag"]
            for channel in self.channels:
                if tag in channel.qos._delivered:
                    channel.qos.reject(tag, requeue=False)


def _log(error: Exception) -> None:
    logger.warning("a message that is not Celery's was dropped: %s", type(error).__name__)


def use() -> None:
    """Let Celery use this transport for `redis://` and `rediss://`."""
    name = f"{__name__}:{Transport.__name__}"
    TRANSPORT_ALIASES.update(redis=name, rediss=name)
