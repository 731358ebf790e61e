"""Notifications: they tell the workers of a lane that rows are queued.

A notification carries no prediction, so it may be lost or repeated. After a lost one, the rows wait until the
maintenance process notifies again. After a repeated one, a worker finds nothing to claim.

Three keys for each lane, all with an expiry:

- `attended`: a worker process drains the lane or waits for work. A notification is then one push to `wakeups`.
- `wakeups`: a list with at most one element, on which an idle worker blocks.
- `message`: a Celery message is under way. No second one is sent.

A worker sets `attended` and deletes `message` *before* its first claim, so a row that is committed after its last claim
always notifies again. It deletes `attended` *before* its last claim, and before work that takes long: then the next
notification is a Celery message for another process.
"""

import logging
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import redis
from celery import current_app
from django.conf import settings
from kombu.exceptions import OperationalError
from kombu.transport.redis import PRIORITY_STEPS, Channel

from predictions.context import request_id
from predictions.models import Lane
from predictions.queue.redis_client import breaker, client

logger = logging.getLogger(__name__)

DRAIN = "predictions.drain"
EXAMINE = "predictions.examine"
COMPUTE = "predictions.compute"
PROMOTE = "predictions.promote"
# A Celery message that was lost suppresses others for this long; then the next notification sends one.
MESSAGE_SECONDS = 10.0
# How long an idle worker waits for work, and how long the `attended` key of a killed worker lasts.
WAIT_SECONDS = 0.1
ATTENDED_SECONDS = 1.5
# If a lane has this many messages waiting, the maintenance process adds none, so that a slow queue is not flooded.
ENOUGH_MESSAGES = 20

# Ignores a key without an expiry, and a key that expires later than it can have been set to: then the clock of Redis
# was set back. Returns 1 if a Celery message is needed.
_NOTIFY = """
local attended, message = redis.call('PTTL', KEYS[1]), redis.call('PTTL', KEYS[3])
if attended >= 0 and attended <= tonumber(ARGV[1]) then
  if redis.call('LLEN', KEYS[2]) == 0 then redis.call('LPUSH', KEYS[2], 1) end
  redis.call('PEXPIRE', KEYS[2], 1000)
  return 0
end
if message >= 0 and message <= tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[3], 1, 'PX', ARGV[2])
return 1
"""
# Sets `attended`. If Celery messages are waiting, it returns 1, and the wait that follows in the pipeline ends at once:
# it waits on the second key too, which no other worker has.
_ATTEND = """
redis.call('SET', KEYS[1], 1, 'PX', ARGV[1])
if not KEYS[3] or redis.call('LLEN', KEYS[3]) == 0 then return 0 end
redis.call('LPUSH', KEYS[2], 1)
redis.call('PEXPIRE', KEYS[2], 1000)
return 1
"""
# The keys of Celery's queue for a lane, with the type that each must have.
_QUEUE_KEYS = ("{lane}", *(f"{{lane}}{Channel.sep}{step}" for step in PRIORITY_STEPS[1:]))
_QUEUE_TYPES = {
    **dict.fromkeys(_QUEUE_KEYS, b"list"),
    "_kombu.binding.{lane}": b"set",
    Channel.unacked_key: b"hash",
    Channel.unacked_index_key: b"zset",
}


# Lanes whose notification waits for its turn in the thread that sends them.
_to_notify: set[str] = set()
sender = ThreadPoolExecutor(1, thread_name_prefix="notify")


def _attended(lane: str) -> str:
    return f"foretell:attended:{lane}"


def _wakeups(lane: str) -> str:
    return f"foretell:wakeups:{lane}"


def _message(lane: str) -> str:
    return f"foretell:message:{lane}"


def notify(lane: str) -> bool:
    """Tell the workers that rows are queued. Never raises; False if Redis is away."""
    return breaker.call(lambda: _notify(lane), "notify")


def notify_aside(lane: str) -> None:
    """`notify` in another thread, with this context, so that a request does not wait for a slow Redis."""
    if lane in _to_notify:  # a notification that has not begun is for these rows too
        return
    _to_notify.add(lane)

    def begin() -> None:
        _to_notify.discard(lane)
        notify(lane)

    try:
        sender.submit(copy_context().run, begin)
    except RuntimeError as error:  # no thread can be started: the rows are kept, and the maintenance process notifies
        _to_notify.discard(lane)
        logger.warning("the workers of the lane %s were not notified: %s", lane, error)


def _notify(lane: str) -> None:
    limits = [int(seconds * 1000) for seconds in (ATTENDED_SECONDS, MESSAGE_SECONDS)]
    if client().eval(_NOTIFY, 3, _attended(lane), _wakeups(lane), _message(lane), *limits):
        publish(lane)


def publish(lane: str) -> None:
    _send(DRAIN, lane, queue=lane, headers={"request_id": request_id.get()})


def _send(task: str, *args: object, **options: object) -> None:
    """Send a Celery message. It is sent again after a dropped connection, but not after a time-out."""
    try:
        current_app.send_task(task, args=list(args), ignore_result=True, **options)
    except OperationalError as error:
        if isinstance(error.__cause__, redis.TimeoutError):
            raise
        current_app.send_task(task, args=list(args), ignore_result=True, **options)


def mark_attended(lane: str) -> None:
    """Set `attended`, and delete `message`. Call it before the first claim."""

    def mark() -> None:
        with client().pipeline(transaction=True) as steps:
            steps.set(_attended(lane), 1, px=int(ATTENDED_SECONDS * 1000))
            steps.delete(_message(lane))
            steps.execute()

    breaker.call(mark, "mark attended")


def clear_attended(lane: str) -> bool:
    """Delete `attended`, so that the next notification is a Celery message.

    True if a wake-up was pending. Perhaps no worker has seen it.
    """
    pending = False

    def clear() -> None:
        nonlocal pending
        with client().pipeline(transaction=True) as steps:
            steps.delete(_attended(lane))
            steps.delete(_wakeups(lane))
            pending = bool(steps.execute()[1])

    breaker.call(clear, "clear attended")
    return pending


def wait_for_work(lane: str) -> bool:
    """Wait a moment for a notification; True if one came. False at once if the lane has Celery messages waiting."""
    leave, messages = f"foretell:leave:{uuid.uuid4().hex}", [] if settings.HAS_OWN_BROKER else [lane]
    notified = False

    def wait() -> None:
        nonlocal notified
        with client().pipeline(transaction=False) as steps:
            keys = [_attended(lane), leave, *messages]
            steps.eval(_ATTEND, len(keys), *keys, int(ATTENDED_SECONDS * 1000))
            steps.blpop([leave, _wakeups(lane)], WAIT_SECONDS)
            must_leave, element = steps.execute()
        notified = element is not None and not must_leave

    breaker.call(wait, "wait for work")
    return notified


def _messages_waiting(lane: str) -> int:
    """How many Celery messages a lane has in Redis, in the list of its name; 0 with another broker than Redis."""
    return 0 if settings.HAS_OWN_BROKER else int(client().llen(lane))


def renotify(lane: str) -> bool:
    """Notify again, for rows that no worker has claimed; not while the lane has enough messages waiting."""

    def again() -> None:
        if _messages_waiting(lane) < ENOUGH_MESSAGES:
            _notify(lane)

    return breaker.call(again, "notify again")


def clear_obstacles(lane: str) -> list[str]:
    """Delete the Redis keys that may keep notifications of a lane from its workers. Never raises.

    These are the three keys of the lane, and keys of Celery's queue whose type is wrong: commands on such a key fail.

    Returns:
        the names of the keys that were deleted. A live worker sets its keys again.
    """
    try:
        wrong = [] if settings.HAS_OWN_BROKER else _keys_of_wrong_type(lane)
        marks = [_attended(lane), _wakeups(lane), _message(lane)]
        # Not through the breaker: the error of a key of a wrong type has opened it.
        return [name for name in [*wrong, *marks] if client().delete(name)]
    except redis.RedisError as error:
        logger.warning("the marks of the lane %s were not deleted: %s", lane, type(error).__name__)
        return []


def _keys_of_wrong_type(lane: str) -> list[str]:
    types = {name.format(lane=lane): allowed for name, allowed in _QUEUE_TYPES.items()}
    return [name for name, allowed in types.items() if client().type(name) not in (allowed, b"none")]


def ask_to_examine(version_id: int) -> bool:
    """Let a worker load a version that did not serve, and mark it as available if it serves now.

    Never raises; False if Redis is away.
    """
    return breaker.call(lambda: _send(EXAMINE, version_id, queue=Lane.INTERACTIVE), "examine")


def ask_to_promote(request_id: int) -> bool:
    """Let a worker carry out a requested promotion or canary. Never raises; False if Redis is away."""
    return breaker.call(lambda: _send(PROMOTE, request_id, queue=Lane.INTERACTIVE), "promote")


def ask_to_compute(computation_id: int) -> bool:
    """Let a worker compute an explanation or a what-if. Never raises; False if Redis is away."""
    return breaker.call(lambda: _send(COMPUTE, computation_id, queue=Lane.INTERACTIVE), "compute")
