"""Ids of predictions: UUIDv7 (RFC 9562), so that they sort by time and a table can be partitioned by them."""

import os
import time
import uuid

_VERSION_7 = 0x7 << 76
_VARIANT = 0b10 << 62
_FIXED_BITS = (0xF << 76) | (0b11 << 62)
_RANDOM_BYTES = 10
# os.urandom releases the interpreter's lock, so another thread may take it. One call fetches bytes for this many ids.
_ASKED_AT_ONCE = 100
_random: list[bytes] = []
# A forked child must not use the same random bytes as its parent.
os.register_at_fork(after_in_child=_random.clear)


def new_prediction_id() -> uuid.UUID:
    """A version 7 UUID: 48 bits of Unix time in milliseconds, then 74 random bits.

    Where predictions are public, the id is the only secret of a prediction. So all bits after the time are random:
    generators with a counter (RFC 9562, section 6.2) leave 32 random bits between neighbours of one millisecond.
    """
    milliseconds = time.time_ns() // 1_000_000
    bits = int.from_bytes(milliseconds.to_bytes(6, "big") + _random_bytes(), "big")
    return uuid.UUID(int=bits & ~_FIXED_BITS | _VERSION_7 | _VARIANT)


def new_prediction_ids(count: int) -> list[uuid.UUID]:
    """Ids in ascending order, for the rows of one request: they are accepted at one time, so lists sort them by id."""
    return sorted([new_prediction_id() for _ in range(count)])


def _random_bytes() -> bytes:
    try:
        return _random.pop()
    except IndexError:
        block = os.urandom(_RANDOM_BYTES * _ASKED_AT_ONCE)
        pieces = [block[start : start + _RANDOM_BYTES] for start in range(0, len(block), _RANDOM_BYTES)]
        _random.extend(pieces[1:])
        return pieces[0]
