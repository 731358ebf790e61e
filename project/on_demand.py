"""`python -m project.on_demand QUEUE worker …`: a Celery worker that runs only while its queue has work.

It waits for a message in the queue with little more than a Redis client in memory, and then becomes the worker. After
BULK_IDLE_SECONDS without a message the worker ends, and the process waits again. Its process id stays the same, so a
supervisor sees one process. Where BROKER_URL names another broker, whose queues cannot be looked at from outside, the
worker always runs.
"""

import os
import signal
import sys
import time
from typing import NoReturn

import redis

from project.dev_redis import embedded_url
from project.env import Env, read_env

POLL_SECONDS = 0.2
# A Redis that takes longer to answer is asked again.
ANSWER_SECONDS = 1.0


def main() -> NoReturn:
    queue, *arguments = sys.argv[1:]
    env = read_env()
    if not env.broker_url:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        wait_for_message(env, queue)
    from project.celery import app  # noqa: PLC0415 - Celery is not needed to wait
    from project.idle import Idleness  # noqa: PLC0415

    idleness = Idleness(env.bulk_idle_seconds)
    if not env.broker_url:
        idleness.watch()
    status = app.start(["-q", *arguments])
    if idleness.ended_the_worker:
        command = [sys.executable, "-m", "project.on_demand", *sys.argv[1:]]
        os.execv(command[0], command)  # noqa: S606 - the same program again
    sys.exit(status)


def wait_for_message(env: Env, queue: str) -> None:
    """Returns when the queue has a message. Celery keeps the messages of a queue in a list of its name.

    A Redis that is away, or a key of another type, is the keeper's affair: here it counts as an empty queue.
    """
    address = env.redis_url or embedded_url(env.var_dir)
    with redis.Redis.from_url(address, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS) as client:
        while not _has_message(client, queue):
            time.sleep(POLL_SECONDS)


def _has_message(client: "redis.Redis", queue: str) -> bool:
    try:
        return bool(client.llen(queue))
    except redis.RedisError:
        return False


if __name__ == "__main__":
    main()
