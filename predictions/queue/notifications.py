"""The doorbell: tells workers that there is work for a version. It carries no prediction, so it may be lost or doubled.

While a ring is outstanding nobody rings again; under load the web publishes few messages. A worker that answers clears
the bell *before* its first claim, so whatever is committed later rings anew. While it serves, and for a moment after,
its sign is up: then a ring is one push to a list, which wakes it if it has nothing to do, instead of a Celery message.
It takes the sign down *before* its last claim, so no row falls between; and also when it needs help, so that the next
ring brings another worker. One that has nothing to do is idle for its whole lane: a ring for another version sends it
there on an errand, so it keeps nobody waiting.
"""

import redis
from celery import current_app
from django.conf import settings
from kombu.exceptions import OperationalError

from predictions.context import request_id
from predictions.models import Lane
from predictions.queue.redis_client import breaker, client

SERVE = "predictions.serve"
EXAMINE = "predictions.examine"
# A ring that was lost on the way keeps others silent for this long; then the keeper may ring.
BELL_SECONDS = 10
# How long a worker waits at the bell when it has nothing to do, and how long the sign of one that was killed stands.
LINGER_SECONDS = 0.1
SIGN_SECONDS = 1.5
# Rings that a lane may have waiting before the keeper adds none: a slow queue is not flooded.
ENOUGH_RINGS = 20

# Answers 1 if a Celery message is needed: nobody serves the version or is idle, and no ring is outstanding.
# Keys: the bell, the sign and the pushes of the version; the idle mark and the errands of the lane.
_RING = """
if redis.call('EXISTS', KEYS[2]) == 1 then
  if redis.call('LLEN', KEYS[3]) == 0 then redis.call('LPUSH', KEYS[3], 1) end
  redis.call('PEXPIRE', KEYS[3], 1000)
  redis.call('DEL', KEYS[4])
  return 0
end
if redis.call('DEL', KEYS[4]) == 1 then
  redis.call('LPUSH', KEYS[5], ARGV[2])
  redis.call('PEXPIRE', KEYS[5], 1000)
  return 0
end
if redis.call('SET', KEYS[1], 1, 'NX', 'EX', ARGV[1]) then return 1 end
return 0
"""


def _bell(version_id: int, lane: str) -> str:
    return f"foretell:bell:{lane}:{version_id}"


def _sign(version_id: int, lane: str) -> str:
    return f"foretell:lingers:{lane}:{version_id}"


def _pushes(version_id: int, lane: str) -> str:
    return f"foretell:pushes:{lane}:{version_id}"


def _idle(lane: str) -> str:
    return f"foretell:idle:{lane}"


def _errands(lane: str) -> str:
    return f"foretell:errands:{lane}"


def ring(version_id: int, lane: str) -> bool:
    """Say that rows of a version wait. Never raises; False if Redis is away, and then the keeper will see the rows."""
    return breaker.call(lambda: _ring(version_id, lane), "ring")


def _ring(version_id: int, lane: str) -> None:
    of_version = _bell(version_id, lane), _sign(version_id, lane), _pushes(version_id, lane)
    if client().eval(_RING, 5, *of_version, _idle(lane), _errands(lane), BELL_SECONDS, version_id):
        publish(version_id, lane)


def publish(version_id: int, lane: str) -> None:
    _send(SERVE, version_id, lane, queue=lane, headers={"request_id": request_id.get()})


def _send(task: str, *args: object, **options: object) -> None:
    """A connection that was dropped is replaced; a server that is silent is not asked again."""
    try:
        current_app.send_task(task, args=list(args), ignore_result=True, **options)
    except OperationalError as error:
        if isinstance(error.__cause__, redis.TimeoutError):
            raise
        current_app.send_task(task, args=list(args), ignore_result=True, **options)


def attend(version_id: int, lane: str) -> None:
    """Before the first claim: the sign goes up and the bell is cleared, so a row committed from now on rings anew."""

    def put_up() -> None:
        with client().pipeline(transaction=True) as steps:
            steps.set(_sign(version_id, lane), 1, px=int(SIGN_SECONDS * 1000))
            steps.delete(_bell(version_id, lane))
            steps.execute()

    breaker.call(put_up, "attend")


def leave(version_id: int, lane: str) -> None:
    """Take the sign down: the next ring is for another worker."""
    breaker.call(lambda: client().delete(_sign(version_id, lane)), "leave")


def linger(version_id: int, lane: str) -> int | None:
    """Wait a moment for a ring: the version that it was for, this or another. Not while the lane has rings waiting."""
    rung: int | None = None

    def wait() -> None:
        nonlocal rung
        if _rings_waiting(lane):
            return
        # The mark of one that was killed stands little longer than it would have waited.
        client().set(_idle(lane), 1, px=int(LINGER_SECONDS * 1000) + 20)
        key, value = client().blpop([_pushes(version_id, lane), _errands(lane)], LINGER_SECONDS) or (b"", 0)
        if key == _errands(lane).encode():
            client().delete(_idle(lane))
            rung = int(value)
        elif key:
            rung = version_id

    breaker.call(wait, "linger")
    return rung


def errand(lane: str) -> int | None:
    """Idle no more; and what this process, or another that was, had been called to and has not heard of."""
    called_to: int | None = None

    def take() -> None:
        nonlocal called_to
        with client().pipeline(transaction=True) as steps:
            steps.delete(_idle(lane))
            steps.rpop(_errands(lane))
            found = steps.execute()[1]
        called_to = int(found) if found else None

    breaker.call(take, "errand")
    return called_to


def _rings_waiting(lane: str) -> int:
    """Celery keeps the messages of a queue in a list of its name; another broker than Redis keeps them elsewhere."""
    return 0 if settings.ENV.broker_url else int(client().llen(lane))


def remind(version_id: int, lane: str) -> bool:
    """The keeper's ring, for rows that nobody took; not while a ring is outstanding or the lane is full of them."""

    def again() -> None:
        if _rings_waiting(lane) < ENOUGH_RINGS:
            _ring(version_id, lane)

    return breaker.call(again, "remind")


def ask_to_examine(version_id: int) -> bool:
    """Let a worker try a version that did not serve."""
    return breaker.call(lambda: _send(EXAMINE, version_id, queue=Lane.INTERACTIVE), "examine")
