"""Completions: workers announce which predictions have ended, and each web process tells its waiting requests.

An announcement carries ids only and may be lost. So a wait also reads its rows every `LOOK_SECONDS`.
"""

import json
import logging
import threading
import time
import uuid
from collections.abc import Collection, Iterable
from concurrent.futures import Future
from typing import Any

import redis
from django.db import close_old_connections
from redis.client import PubSub

from predictions.models import Prediction
from predictions.models.states import TERMINAL
from predictions.queue.redis_client import NOTIFY_SECONDS, breaker, client, helper

logger = logging.getLogger(__name__)

CHANNEL = "foretell:settled"
RECONNECT_SECONDS = 0.5
# A wait reads its rows at least this often, announced or not.
LOOK_SECONDS = 2.0
# The listener waits this long for a message before it checks which waits are due for a look.
MESSAGE_SECONDS = 1.0

# The values of `Prediction.STATUS_FIELDS`, the state first.
Status = tuple[Any, ...]


def announce(ids: Iterable[uuid.UUID]) -> bool:
    """Tell all web processes which predictions have ended. Never raises; False if Redis is away."""
    message = json.dumps([prediction_id.hex for prediction_id in ids])
    return breaker.call(lambda: client().publish(CHANNEL, message), "announce")


def announce_in_time(ids: Iterable[uuid.UUID]) -> bool:
    """`announce` for a request: it waits for a slow Redis for a bounded time. False if it is not known to be sent."""
    ended = list(ids)
    return helper.run(lambda: announce(ended), NOTIFY_SECONDS)


class Subscription:
    """One request's interest in the end of some predictions. Use it as a context manager.

    Attributes:
        ended: resolved by the listener's thread with the statuses of all predictions, by id, when all have ended.
            A thread waits by `.result(timeout)`, a coroutine by `asyncio.wrap_future`.
    """

    def __init__(self, listener: "CompletionListener", ids: Collection[uuid.UUID]) -> None:
        self._listener = listener
        self._statuses: dict[uuid.UUID, Status] = {}
        self.ids = {prediction_id.hex: prediction_id for prediction_id in ids}
        self.looked_at = time.monotonic()
        self.ended: Future[dict[uuid.UUID, Status]] = Future()
        self.ended.set_running_or_notify_cancel()  # a waiter that gives up cancels nothing here

    def __enter__(self) -> "Subscription":
        self._listener.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.remove(self)

    def look_now(self) -> None:
        """Read the rows at the listener's next turn: they may have ended before this subscription began."""
        self.looked_at = 0.0

    def update(self, statuses: dict[uuid.UUID, Status]) -> None:
        self.looked_at = time.monotonic()
        own = {key: statuses[key] for key in self.ids.values() if key in statuses}
        self._statuses |= {key: status for key, status in own.items() if status[0] in TERMINAL}
        if len(self._statuses) == len(self.ids) and not self.ended.done():
            self.ended.set_result(self._statuses)


class CompletionListener:
    """The subscriptions of this process, and the one thread that hears announcements for them."""

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
        """Never ends: a lost connection is made anew, and an error of ours is logged."""
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
                # Also after redis-py has replaced a lost connection: announcements before this were not heard.
                self._look(self._due(0.0))
            elif message:
                self._look(self._named(message["data"]))
            self._look(self._due(LOOK_SECONDS))

    def _named(self, message: bytes) -> dict[str, list[Subscription]]:
        """The subscriptions to the predictions of an announcement, by key. Other messages name no prediction."""
        try:
            keys = [key for key in json.loads(message) if key in self._by_key]
        except (ValueError, TypeError):
            logger.warning("a message on %s is not an announcement", CHANNEL)
            return {}
        with self._lock:
            return {key: list(self._by_key.get(key, ())) for key in keys}

    def _due(self, age: float) -> dict[str, list[Subscription]]:
        """The subscriptions whose rows were last read `age` seconds ago or earlier, by key."""
        before = time.monotonic() - age
        with self._lock:
            due = {key: [one for one in found if one.looked_at <= before] for key, found in self._by_key.items()}
        return {key: found for key, found in due.items() if found}

    def _look(self, awaited: dict[str, list[Subscription]]) -> None:
        """Read the rows once for all subscriptions. If the database is away, each waits on and looks at its end."""
        if not awaited:
            return
        try:
            close_old_connections()
            statuses = Prediction.objects.fetch_statuses([uuid.UUID(key) for key in awaited])
        except Exception as error:  # noqa: BLE001 - the listener must survive whatever the database says
            logger.warning("the rows of ended predictions were not read: %s", type(error).__name__)
            return
        for subscription in {one for found in awaited.values() for one in found}:
            subscription.update(statuses)


listener = CompletionListener()
