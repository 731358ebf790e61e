"""Wait for the end of predictions, in a thread or on the event loop.

Enter the subscription before the rows are committed or read:

    with subscribe([prediction_id]) as subscription:
        row = …
        wait_in_thread([row], subscription, seconds)
"""

import asyncio
import threading
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from predictions.models import Prediction
from predictions.models.database import DATABASE_AWAY
from predictions.models.prediction_statements import Status
from predictions.queue.completions import Subscription, listener
from predictions.use_cases import lookup

# How long a read of a prediction that is younger than `YOUNG` waits for its end.
MOMENT_SECONDS = 0.02
YOUNG = timedelta(seconds=1)

_lock = threading.Lock()
_threads_that_wait = 0


def subscribe(ids: Collection[uuid.UUID]) -> Subscription:
    return listener.subscribe(ids)


def wait_in_thread(rows: Sequence[Prediction], subscription: Subscription, seconds: float) -> None:
    """Wait until all rows have ended, and refresh them. At most `WAITERS_MAX` threads wait; others return at once."""
    with _place() as is_free:
        if not is_free or seconds <= 0:
            return
        ended: Any = subscription.ended
        try:
            _refresh(rows, ended.result(seconds))
        except TimeoutError:
            with suppress(*DATABASE_AWAY):  # the rows are shown as they were last seen
                _refresh(rows, Prediction.objects.fetch_statuses([row.pk for row in rows]))


@contextmanager
def _place() -> Iterator[bool]:
    global _threads_that_wait
    with _lock:
        is_free = _threads_that_wait < settings.WAITERS_MAX
        _threads_that_wait += is_free
    try:
        yield is_free
    finally:
        with _lock:
            _threads_that_wait -= is_free


async def wait(rows: Sequence[Prediction], subscription: Subscription, seconds: float) -> None:
    """Wait until all rows have ended, and refresh them. A coroutine that waits holds no thread."""
    if seconds <= 0 or all(row.is_terminal for row in rows):
        return
    if (statuses := await subscription.wait(seconds)) is not None:
        _refresh(rows, statuses)
        return
    with suppress(*DATABASE_AWAY):  # the rows are shown as they were last seen
        seen = await asyncio.gather(*(lookup.statuses.ask(row.pk) for row in rows))
        _refresh(rows, {row.pk: status for row, status in zip(rows, seen, strict=True) if status})


async def wait_a_moment(row: Prediction, subscription: Subscription) -> None:
    """Wait `MOMENT_SECONDS` at most for a new prediction, although the request does not ask for a wait.

    Most new predictions end within this time, so a client that polls needs one request. The row is not read again if
    the time is over.
    """
    # By the clock of this host. If it is wrong, a request waits a moment in vain, or not at all.
    if row.is_terminal or abs(timezone.now() - row.created_at) > YOUNG:
        return
    if (statuses := await subscription.wait(MOMENT_SECONDS)) is not None:
        _refresh([row], statuses)


def _refresh(rows: Sequence[Prediction], seen: Mapping[uuid.UUID, Status]) -> None:
    for row in rows:
        if row.pk in seen:  # a row that was removed stays as it was last seen
            row.refresh_status(seen[row.pk])
