"""Hearing of the end: one message for each settled claim wakes the requests that wait for its predictions.

A lost announcement costs only time: whoever waits reads the row at the end of the wait.
"""

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import redis
from django.conf import settings
from redis.client import PubSub

from predictions.broker import breaker, client

logger = logging.getLogger(__name__)

CHANNEL = "foretell:settled"
RECONNECT_SECONDS = 0.5


def announce(ids: Iterable[uuid.UUID]) -> None:
    """Tell all web processes which predictions have ended."""
    message = json.dumps([prediction_id.hex for prediction_id in ids])
    breaker.call(lambda: client().publish(CHANNEL, message), "announce")


class Waiters:
    """The requests of this process that wait, and the one thread that listens for them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: dict[str, list[threading.Event]] = {}
        self._count = 0
        self._listener: threading.Thread | None = None

    @contextmanager
    def expecting(self, prediction_id: uuid.UUID, seconds: float) -> Iterator[threading.Event | None]:
        """An event that is set when the prediction has probably ended; None for no time, or when as many wait as may.

        Enter before the row is committed or read: an announcement between that and the wait would be missed.
        """
        with self.expecting_any([prediction_id], seconds) as event:
            yield event

    @contextmanager
    def expecting_any(self, ids: Iterable[uuid.UUID], seconds: float) -> Iterator[threading.Event | None]:
        """Likewise for a request of several predictions: one place, and an event that is set at each of their ends."""
        keys = [prediction_id.hex for prediction_id in ids]
        event = self._add(keys) if seconds > 0 else None
        try:
            yield event
        finally:
            if event is not None:
                self._remove(keys, event)

    def _add(self, keys: list[str]) -> threading.Event | None:
        with self._lock:
            if self._count >= settings.WAITERS_MAX:
                return None
            self._count += 1
            event = threading.Event()
            for key in keys:
                self._events.setdefault(key, []).append(event)
            if self._listener is None or not self._listener.is_alive():
                self._listener = threading.Thread(target=self._listen, name="settlements", daemon=True)
                self._listener.start()
            return event

    def _remove(self, keys: list[str], event: threading.Event) -> None:
        with self._lock:
            self._count -= 1
            for key in keys:
                self._events[key].remove(event)
                if not self._events[key]:
                    del self._events[key]

    def _listen(self) -> None:
        while True:
            try:
                with client().pubsub(ignore_subscribe_messages=True) as channel:  # type: ignore[no-untyped-call]
                    channel.subscribe(CHANNEL)
                    # What was announced before this line went unheard: let everybody look once.
                    self._wake(list(self._events))
                    self._hear(channel)
            except (redis.RedisError, OSError, ValueError):
                time.sleep(RECONNECT_SECONDS)

    def _hear(self, channel: PubSub) -> None:
        while True:
            if (message := channel.get_message(timeout=5.0)) is not None:
                self._wake(json.loads(message["data"]))

    def _wake(self, keys: list[str]) -> None:
        with self._lock:
            events = [event for key in keys for event in self._events.get(key, ())]
        for event in events:
            event.set()


waiters = Waiters()


def wait(event: threading.Event | None, has_ended: Callable[[], bool], seconds: float) -> bool:
    """Wait until `has_ended()`, which is asked at each announcement and at the end of the time, never in between.

    Without an event, for want of a place to wait, the answer is False at once.
    """
    if event is None:
        return False
    end = time.monotonic() + seconds
    while (remaining := end - time.monotonic()) > 0:
        if event.wait(remaining):
            event.clear()
            if has_ended():
                return True
    return has_ended()
