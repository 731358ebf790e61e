"""`python -m project.on_demand QUEUE worker …`: a Celery worker that runs only while its queue has work.

It waits for a message in the queue with little more than a Redis client in memory, and then becomes the worker. After
BULK_IDLE_SECONDS without a message the worker ends, and the process waits again. Its process id stays the same, so a
supervisor sees one process. If BROKER_URL names another broker, this process cannot look into its queues, so the worker
always runs.
"""

import atexit
import os
import signal
import sys
import time
from typing import NoReturn

import redis

from project.dev_redis import embedded_url
from project.env import Env, read_env

POLL_SECONDS = 0.2
# If Redis takes longer to answer, it is asked again.
ANSWER_SECONDS = 1.0
# After this many failed attempts in a row, the error is printed once.
MANY_ERRORS = 50
END = (signal.SIGTERM, signal.SIGINT)


def main() -> NoReturn:
    # Arguments for a restart by exec: by `_wait_again`, and by Celery at SIGHUP.
    sys.argv[:1] = ["-m", "project.on_demand"]
    _, _, queue, *arguments = sys.argv
    env = read_env()
    if env.broker_url:
        sys.exit(_work(arguments))
    for number in END:  # by default the first process of a container ignores these signals
        signal.signal(number, lambda *_: sys.exit(0))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, END)
    wait_for_message(env, queue)
    atexit.register(_wait_again)  # registered before Celery's exit handlers, so it is called after them
    from project.idle import idleness  # noqa: PLC0415 - Celery is not needed to wait

    idleness.watch(env.bulk_idle_seconds)
    sys.exit(_work(arguments))


def wait_for_message(env: Env, queue: str) -> None:
    """Wait until the queue has a message. Celery keeps the messages of a queue in a list of the queue's name.

    If Redis cannot be reached, or the key has another type, the queue counts as empty. The keeper handles these faults.
    """
    address = env.redis_url or embedded_url(env.var_dir)
    errors = 0
    with redis.Redis.from_url(address, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS) as client:
        while True:
            try:
                if client.llen(queue):
                    return
                errors = 0
            except redis.RedisError as error:
                errors += 1
                if errors == MANY_ERRORS:
                    print(f"The queue {queue} cannot be looked at: {error}", file=sys.stderr, flush=True)
            time.sleep(POLL_SECONDS)


def _work(arguments: list[str]) -> int:
    from project.celery import app  # noqa: PLC0415

    # Without the name of the application, Celery would look for the one that the variable APP names.
    return int(app.start(["-A", "project", "-q", *arguments]) or 0)


def _wait_again() -> None:
    """If the worker ended because it was idle, replace it by a new run of this program. SIGTERM and SIGINT stay blocked
    until the new run can handle them."""
    from project.idle import idleness  # noqa: PLC0415

    signal.pthread_sigmask(signal.SIG_BLOCK, END)
    if idleness.ended_the_worker:
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606 - the same program again


if __name__ == "__main__":
    main()
