"""Finds the rows of a chunk that end a worker's process, so that the other rows are scored.

Before the estimator gets some rows, their range is stored in the chunk. If the worker dies, the next worker searches
that range in smaller pieces, until the range is one row. A row counts as lost if workers have died at it twice, since a
worker may also die for another reason.
"""

from collections.abc import Iterator
from typing import Any

from django.conf import settings

from predictions.models import BatchChunk
from predictions.serving.engines.opening import Loaded
from predictions.serving.engines.predictor import predict

# The number of pieces in which a range is searched.
PIECES = 100
# A chunk with more lost rows is given up.
MOST_LOST = 20


class TooManyLost(Exception):
    """The chunk has more than MOST_LOST rows that end a worker, or workers die although it was searched."""


def lost_rows(chunk: BatchChunk, values: Any, loaded: Loaded) -> set[int]:
    """The positions in `values` that end the process which predicts them.

    The calling process may die during the search; the next call for the same chunk continues it. Each stored range is
    progress, so it resets the chunk's attempts.

    Raises:
        TooManyLost: there are more than MOST_LOST, or processes still die although each row was searched.
    """
    notes: dict[str, Any] = dict(chunk.summary)
    lost = set(notes.get("lost", []))
    if notes.get("is_searched"):
        if chunk.attempts >= settings.MAX_ATTEMPTS:
            raise TooManyLost
        return lost
    low, high = notes.get("tried", [0, len(values)])
    is_second = high - low == 1 and notes.get("suspected") == low
    if is_second:
        lost.add(low)
    if len(lost) > MOST_LOST:
        raise TooManyLost
    suspected = low if high - low == 1 and not is_second else None
    for start, end in _pieces(low, high, len(values)):
        _note(chunk, {"lost": sorted(lost), "tried": [start, end], "suspected": suspected})
        for part in _without(lost, start, end):
            predict(loaded, values[part])
    _note(chunk, {"lost": sorted(lost), "is_searched": True})
    return lost


def _pieces(low: int, high: int, count: int) -> Iterator[tuple[int, int]]:
    """The range in pieces, then one piece each for the rows before and behind it. Empty pieces are left out."""
    size = max((high - low) // PIECES, 1)
    found = [(0, low), *((start, min(start + size, high)) for start in range(low, high, size)), (high, count)]
    yield from ((start, end) for start, end in found if start < end)


def _without(lost: set[int], start: int, end: int) -> Iterator[slice]:
    """The range without the lost positions."""
    for gap in [*sorted(place for place in lost if start <= place < end), end]:
        if start < gap:
            yield slice(start, gap)
        start = gap + 1


def _note(chunk: BatchChunk, notes: dict[str, Any]) -> None:
    BatchChunk.objects.note(chunk, notes)
