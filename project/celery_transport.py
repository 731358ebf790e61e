"""Celery's transport over Redis, in which a message that Celery did not write cannot end the worker.

Patches private parts of kombu.transport.redis and kombu.transport.virtual. What cannot be read raises in the worker's
event loop, and every exception there but those of the connection ends the worker. A message that is registered as
delivered and then raises is never acknowledged: it occupies a place of the prefetch count, until the worker takes no
further message.

Upstream: celery/kombu issue 1247 describes the same end of a worker after an error reply of Redis. No issue about
messages of a wrong shape is known.
Remove the patch when `tests/worker/test_garbage.py` passes with kombu's own transport.
"""

import logging
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis

logger = logging.getLogger(__name__)

# What reading a message of a wrong shape raises.
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, AssertionError)


class Channel(redis.Channel):
    def _brpop_read(self, **options: Any) -> Any:
        """Deliver the message that Redis has sent, or drop what is no message."""
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]
        except UNREADABLE as error:
            _log(error)
            return True


class Transport(redis.Transport):
    Channel = Channel

    def _deliver(self, message: Any, queue: str) -> None:
        """Deliver a message; reject one that is registered as delivered and then fails for its shape."""
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
