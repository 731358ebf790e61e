"""Hearing of the end: one message for each settled claim wakes the requests that wait for its predictions.

A lost announcement costs only time: whoever waits reads the row at the end of the wait.
"""

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import redis
from django.conf import settings
from redis.client import PubSub

from predictions.models import Prediction
from predictions.queue.redis_client import breaker, client

logger = logging.getLogger(__name__)

CHANNEL = "foretell:settled"
RECONNECT_SECONDS = 0.5

Hearer = Callable[[Sequence[str] | None], None]


def announce(ids: Iterable[uuid.UUID]) -> None:
    """Tell all web processes which predictions have ended."""
    message = json.dumps([prediction_id.hex for prediction_id in ids])
    breaker.call(lambda: client().publish(CHANNEL, message), "announce")


class News:
    """The rows of one announcement that somebody here waits for: one read for all, by whoever looks first."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._ids = [uuid.UUID(key) for key in keys]
        self._lock = threading.Lock()
        self._seen: dict[uuid.UUID, tuple[Any, ...]] | None = None

    def of(self, prediction_id: uuid.UUID) -> tuple[Any, ...] | None:
        """What `Prediction.STATUS_FIELDS` names of that row; None if it is gone."""
        with self._lock:
            if self._seen is None:
                self._seen = Prediction.objects.look(self._ids)
        return self._seen.get(prediction_id)


class Place(threading.Event):
    """Where one request waits; `news` is what it was woken by, if that was an announcement."""

    news: News | None = None

    def seen(self, prediction_id: uuid.UUID) -> tuple[Any, ...] | None:
        """What the news says of a row, once: at the next look they are old."""
        news, self.news = self.news, None
        return news.of(prediction_id) if news else None


class Waiters:
    """The requests of this process that wait, and the one thread that listens for them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: dict[str, list[Place]] = {}
        self._count = 0
        self._listener: threading.Thread | None = None
        self._hearers: list[Hearer] = []

    def also_tell(self, hearer: Hearer) -> None:
        """Call `hearer`, in the thread that listens, with the keys of each announcement.

        With None when something may have gone unheard.
        """
        with self._lock:
            self._hearers.append(hearer)
            self._listen_always()

    @contextmanager
    def expecting(self, prediction_id: uuid.UUID, seconds: float) -> Iterator[Place | None]:
        """A place, set when the prediction has probably ended; None for no time, or when as many wait as may.

        Enter before the row is committed or read: an announcement between that and the wait would be missed.
        """
        with self.expecting_any([prediction_id], seconds) as place:
            yield place

    @contextmanager
    def expecting_any(self, ids: Iterable[uuid.UUID], seconds: float) -> Iterator[Place | None]:
        """Likewise for a request of several predictions: one place, set at each of their ends."""
        keys = [prediction_id.hex for prediction_id in ids]
        place = self._add(keys) if seconds > 0 else None
        try:
            yield place
        finally:
            if place is not None:
                self._remove(keys, place)

    def _add(self, keys: list[str]) -> Place | None:
        with self._lock:
            if self._count >= settings.WAITERS_MAX:
                return None
            self._count += 1
            place = Place()
            for key in keys:
                self._places.setdefault(key, []).append(place)
            self._listen_always()
            return place

    def _listen_always(self) -> None:
        if self._listener is None or not self._listener.is_alive():
            self._listener = threading.Thread(target=self._listen, name="settlements", daemon=True)
            self._listener.start()

    def _remove(self, keys: list[str], place: Place) -> None:
        with self._lock:
            self._count -= 1
            for key in keys:
                self._places[key].remove(place)
                if not self._places[key]:
                    del self._places[key]

    def _listen(self) -> None:
        while True:
            try:
                with client().pubsub(ignore_subscribe_messages=True) as channel:  # type: ignore[no-untyped-call]
                    channel.subscribe(CHANNEL)
                    # What was announced before this line went unheard: let everybody look once.
                    self._wake_all()
                    self._hear(channel)
            except (redis.RedisError, OSError, ValueError):
                time.sleep(RECONNECT_SECONDS)

    def _hear(self, channel: PubSub) -> None:
        while True:
            if (message := channel.get_message(timeout=5.0)) is not None:
                self._wake(json.loads(message["data"]))

    def _wake_all(self) -> None:
        with self._lock:
            places = [place for expecting in self._places.values() for place in expecting]
        for place in places:
            place.set()
        for hearer in self._hearers:
            hearer(None)

    def _wake(self, keys: list[str]) -> None:
        with self._lock:
            awaited = [key for key in keys if key in self._places]
            places = [place for key in awaited for place in self._places[key]]
        news = News(awaited)
        for place in places:
            place.news = news
            place.set()
        for hearer in self._hearers:
            hearer(keys)


waiters = Waiters()


def wait_for(prediction: Prediction, place: Place | None, seconds: float) -> bool:
    """Wait until the prediction has ended, and see it as it is then."""
    return wait(place, lambda: prediction.refresh_status(place.seen(prediction.pk) if place else None), seconds)


def wait(place: Place | None, refresh_status: Callable[[], bool], seconds: float) -> bool:
    """Wait until `refresh_status()`, which is asked at each announcement and at the end of the time, never in between.

    Without a place the answer is False at once.
    """
    if place is None:
        return False
    end = time.monotonic() + seconds
    while (remaining := end - time.monotonic()) > 0:
        if place.wait(remaining):
            place.clear()
            if refresh_status():
                return True
    return refresh_status()
