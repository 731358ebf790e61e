"""The Redis channel on which finished predictions are announced."""

import redis

from predictions.queue import completions
from tests.support.waiting import wait_until


def listening(client: redis.Redis, count: int = 1) -> None:
    """Wait until `count` listeners have subscribed to the channel."""
    wait_until(
        lambda: dict(client.pubsub_numsub(completions.CHANNEL)).get(b"foretell:settled", 0) >= count,
        10,
        "the listeners have subscribed",
    )
