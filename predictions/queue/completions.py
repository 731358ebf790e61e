"""Completions: workers announce which predictions have ended, and each web process tells its waiting requests.

An announcement has the ids of predictions, and may have their statuses. The rows were committed before it is sent.
An announcement may be lost, so a wait also reads its rows every `LOOK_SECONDS`.
"""

import asyncio
import logging
import threading
import time
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
import redis
from django.db import close_old_connections
from redis.client import PubSub

from predictions.models import Prediction
from predictions.models.prediction_statements import Status
from predictions.models.states import TERMINAL
from predictions.queue.futures import AnyFuture, new_future, resolve, set_result
from predictions.queue.redis_client import ANNOUNCE_SECONDS, breaker, client, helper

logger = logging.getLogger(__name__)

CHANNEL = "foretell:settled"
RECONNECT_SECONDS = 0.5
# A wait reads its rows at least this often, announced or not.
LOOK_SECONDS = 2.0
# The listener waits this long for a message before it checks whose rows must be read.
MESSAGE_SECONDS = 1.0
# A longer announcement has ids alone: Redis disconnects a subscriber that has megabytes unread.
MOST_BYTES = 256 * 1024


def announce(ids: Iterable[uuid.UUID], statuses: Sequence[Status] = ()) -> bool:
    """Tell all web processes which predictions have ended. Never raises; False if Redis is away.

    Args:
        statuses: one for each id, as it was committed. Without them the receivers read the rows.
    """
    names = orjson.dumps([prediction_id.hex for prediction_id in ids])
    message = names + b"\n" + orjson.dumps(statuses) if statuses else names
    said = message if len(message) <= MOST_BYTES else names
    return breaker.call(lambda: client().publish(CHANNEL, said), "announce")


def announce_in_time(ids: Iterable[uuid.UUID]) -> bool:
    """`announce` for a request: it waits `ANNOUNCE_SECONDS` for Redis at most. False if it may not have been sent."""
    ended = list(ids)
    return helper.run(lambda: announce(ended), ANNOUNCE_SECONDS)


class Subscription:
    """One request's interest in the end of some predictions. Use it as a context manager.

    Attributes:
        ended: resolved by the listener's thread with the statuses of all predictions, by id, when all have ended.
            A thread waits by `.result(timeout)`, a coroutine by `wait`.
    """

    def __init__(self, listener: "CompletionListener", ids: Collection[uuid.UUID]) -> None:
        self._listener = listener
        self.statuses: dict[uuid.UUID, Status] = {}
        self.ids = {prediction_id.hex: prediction_id for prediction_id in ids}
        self.looked_at = time.monotonic()
        self.ended: AnyFuture[dict[uuid.UUID, Status]] = new_future()

    def __enter__(self) -> "Subscription":
        self._listener.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.remove(self)

    async def wait(self, seconds: float) -> dict[uuid.UUID, Status] | None:
        """The statuses when all predictions have ended, or None after `seconds`. For the coroutine that subscribed.

        It awaits `ended` itself, since asyncio.wait would take twice the time. The end of the time resolves `ended`
        too, so the next wait needs a new future. A canceled wait cancels it, so no other may follow.
        """
        ended: Any = self.ended
        alarm = asyncio.get_running_loop().call_later(seconds, set_result, ended, None)
        try:
            statuses: dict[uuid.UUID, Status] | None = await ended
        finally:
            alarm.cancel()
        if statuses is not None:
            return statuses
        self.ended = new_future()
        # The listener's thread may still have found the earlier future. Then it had set all statuses before.
        return self.statuses if len(self.statuses) == len(self.ids) else None

    def look_now(self) -> None:
        """Read the rows at the listener's next turn: they may have ended before this subscription began."""
        self.looked_at = 0.0

    def update(self, statuses: Mapping[uuid.UUID, Status]) -> bool:
        """Keep the statuses of the predictions that have ended. True if all have ended."""
        self.looked_at = time.monotonic()
        for key in self.ids.values():
            if (status := statuses.get(key)) and status[0] in TERMINAL:
                self.statuses[key] = status
        return len(self.statuses) == len(self.ids)


class CompletionListener:
    """The subscriptions of this process, and the one thread that receives announcements for them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_key: dict[str, list[Subscription]] = {}
        self._thread: threading.Thread | None = None

    def subscribe(self, ids: Collection[uuid.UUID]) -> Subscription:
        """Enter the subscription before the rows are committed or read, so that no announcement is missed."""
        return Subscription(self, ids)

    def count(self, prediction_id: uuid.UUID) -> int:
        """How many requests of this process wait for a prediction."""
        return len(self._by_key.get(prediction_id.hex, ()))

    def add(self, subscription: Subscription) -> None:
        with self._lock:
            for key in subscription.ids:
                self._by_key.setdefault(key, []).append(subscription)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._listen, name="completions", daemon=True)
                self._thread.start()

    def remove(self, subscription: Subscription) -> None:
        with self._lock:
            for key in subscription.ids:
                self._by_key[key].remove(subscription)
                if not self._by_key[key]:
                    del self._by_key[key]

    # --- The listener's thread ----------------------------------------------------------------------------------------
    def _listen(self) -> None:
        """The loop of the thread. It never ends: a lost connection is opened again, and other errors are logged."""
        while True:
            try:
                with client().pubsub() as channel:  # type: ignore[no-untyped-call]
                    channel.subscribe(CHANNEL)
                    self._hear(channel)
            except (redis.RedisError, OSError):
                self._look(self._due(LOOK_SECONDS))
            except Exception:
                logger.exception("the listener for completions failed and begins anew")
            time.sleep(RECONNECT_SECONDS)

    def _hear(self, channel: PubSub) -> None:
        while True:
            message = channel.get_message(timeout=MESSAGE_SECONDS)
            if message and message["type"] == "subscribe":
                # This also comes after redis-py has replaced a lost connection: announcements before it were missed.
                self._look(self._due(0.0))
            elif message:
                self._read(message["data"])
            self._look(self._due(LOOK_SECONDS))

    def _read(self, message: bytes) -> None:
        """Update the subscriptions to the announced predictions, from the statuses in it or from the rows."""
        names, _, carried = message.partition(b"\n")
        try:
            keys = orjson.loads(names)
            awaited = self._awaited(keys)
            told = zip(keys, orjson.loads(carried), strict=True) if carried and awaited else ()
            statuses = {uuid.UUID(key): _status(status) for key, status in told if key in awaited}
        except (ValueError, TypeError):
            logger.warning("a message on %s is not an announcement", CHANNEL)
            return
        if statuses:
            _update(awaited, statuses)
        else:
            self._look(awaited)

    def _awaited(self, keys: Iterable[str]) -> dict[str, list[Subscription]]:
        """The subscriptions to these predictions, by key."""
        with self._lock:
            return {key: list(self._by_key[key]) for key in keys if key in self._by_key}

    def _due(self, age: float) -> dict[str, list[Subscription]]:
        """The subscriptions whose rows were last read `age` seconds ago or earlier, by key."""
        before = time.monotonic() - age
        with self._lock:
            due = {key: [one for one in found if one.looked_at <= before] for key, found in self._by_key.items()}
        return {key: found for key, found in due.items() if found}

    def _look(self, awaited: dict[str, list[Subscription]]) -> None:
        """Read the rows once for all subscriptions. If the database is away, the requests keep waiting."""
        if not awaited:
            return
        try:
            close_old_connections()
            statuses = Prediction.objects.fetch_statuses([uuid.UUID(key) for key in awaited])
        except Exception as error:  # noqa: BLE001 - the listener must survive every error of the database
            logger.warning("the rows of ended predictions were not read: %s", type(error).__name__)
            return
        _update(awaited, statuses)


def _update(awaited: Mapping[str, list[Subscription]], statuses: Mapping[uuid.UUID, Status]) -> None:
    subscriptions = {one for found in awaited.values() for one in found}
    resolve([(one.ended, one.statuses) for one in subscriptions if one.update(statuses)])


def _status(carried: list[Any]) -> Status:
    """A status from an announcement, with the types that the database gives. Raises ValueError or TypeError."""
    state, output, error_code, started_at, finished_at, predict_ms, attempts = carried
    times = datetime.fromisoformat(started_at), datetime.fromisoformat(finished_at)
    if state not in TERMINAL or None in (times[0].tzinfo, times[1].tzinfo):
        raise ValueError("not a status")
    return (state, output, error_code, *times, predict_ms, attempts)


listener = CompletionListener()
