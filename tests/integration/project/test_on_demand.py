"""Waiting for a message, with a real Redis."""

from threading import Thread

import redis

from project.env import Env
from project.on_demand import wait_for_message
from tests.support.waiting import wait_until


def test_queue_without_a_message_is_waited_for(clean_redis: redis.Redis, redis_server: str) -> None:
    """The process also waits while the key of the queue has a wrong type. The keeper deletes such a key."""
    clean_redis.set("bulk", "no list")
    clean_redis.config_resetstat()
    waiting = Thread(target=wait_for_message, args=(Env(redis_url=redis_server), "bulk"), daemon=True)
    waiting.start()
    wait_until(lambda: asked(clean_redis) > 1, 10, "it has asked again")
    assert waiting.is_alive()

    clean_redis.delete("bulk")
    clean_redis.lpush("bulk", "a message")

    wait_until(lambda: not waiting.is_alive(), 10, "it has ended")


def asked(client: redis.Redis) -> int:
    statistics = client.info("commandstats")
    return int(statistics["cmdstat_llen"]["calls"]) if "cmdstat_llen" in statistics else 0
