"""Ids of predictions."""

import os
import time
import uuid

from predictions.models.ids import new_prediction_id, new_prediction_ids

RANDOM_A = 0xFFF << 64
RANDOM_B = (1 << 62) - 1


def test_id_is_a_version_7_uuid_of_the_present_time() -> None:
    before = time.time_ns() // 1_000_000
    new = new_prediction_id()
    after = time.time_ns() // 1_000_000

    assert (new.version, new.variant) == (7, uuid.RFC_4122)
    assert before <= new.int >> 80 <= after


def test_ids_sort_by_their_time() -> None:
    first = new_prediction_id()
    while time.time_ns() // 1_000_000 <= first.int >> 80:
        pass

    assert str(first) < str(new_prediction_id())


def test_neighbouring_ids_share_no_random_bits() -> None:
    """Each of the 74 bits after the time is set in some ids and clear in others: none is a counter or a constant."""
    ids = [new_prediction_id().int for _ in range(200)]
    always, ever = RANDOM_A | RANDOM_B, 0
    for value in ids:
        always &= value
        ever |= value

    assert always == 0
    assert ever & (RANDOM_A | RANDOM_B) == RANDOM_A | RANDOM_B


def test_processes_of_one_parent_share_no_random_bits() -> None:
    new_prediction_id()  # the parent has now fetched the random bytes of many ids
    reading, writing = os.pipe()
    if not (child := os.fork()):
        os.write(writing, new_prediction_id().bytes)
        os._exit(0)
    os.waitpid(child, 0)
    of_child, own = uuid.UUID(bytes=os.read(reading, 16)), new_prediction_id()
    os.close(reading)
    os.close(writing)

    assert of_child.int & RANDOM_B != own.int & RANDOM_B


def test_ids_of_one_request_are_sorted() -> None:
    ids = new_prediction_ids(300)

    assert ids == sorted(set(ids))
    assert len(ids) == 300
