"""Stored idempotency keys: each belongs to one caller, for 24 hours."""

import uuid
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from predictions.models import IdempotencyKey
from predictions.models.idempotency_key import KeyTaken

pytestmark = pytest.mark.django_db

MINE, THEIRS = "visitor:somebody", "visitor:somebody-else"


def key_of(caller: str, key: str = "k") -> IdempotencyKey:
    return IdempotencyKey(caller=caller, key=key, prediction_id=uuid.uuid4(), request_hash="hash")


def kept(caller: str, key: str = "k", age: timedelta = timedelta()) -> IdempotencyKey:
    """A key that was taken some time ago."""
    IdempotencyKey.objects.take([key_of(caller, key)])
    found = IdempotencyKey.objects.get(caller=caller, key=key)
    IdempotencyKey.objects.filter(pk=found.pk).update(created_at=timezone.now() - age)
    return found


def test_take_keeps_what_the_key_stands_for() -> None:
    new = key_of(MINE)
    IdempotencyKey.objects.take([new])

    found = IdempotencyKey.objects.get()
    assert (found.caller, found.key, found.prediction_id, found.request_hash) == (MINE, "k", new.prediction_id, "hash")
    assert abs(timezone.now() - found.created_at) < timedelta(minutes=1)


def test_take_of_a_key_in_use_is_refused_and_changes_nothing() -> None:
    first = kept(MINE)

    with pytest.raises(KeyTaken), transaction.atomic():
        IdempotencyKey.objects.take([key_of(MINE, "free"), key_of(MINE)])

    assert [key.prediction_id for key in IdempotencyKey.objects.all()] == [first.prediction_id]


@pytest.mark.parametrize("age", [timedelta(hours=23, minutes=59), timedelta(hours=24, minutes=1)])
def test_key_is_current_for_24_hours(age: timedelta) -> None:
    key = kept(MINE, age=age)
    is_current = age < timedelta(hours=24)

    assert IdempotencyKey.objects.current(MINE, "k") == (key if is_current else None)
    assert IdempotencyKey.objects.current_among(MINE, ["k"]) == ({"k": key} if is_current else {})
    assert list(IdempotencyKey.objects.expired()) == ([] if is_current else [key])


def test_key_is_found_by_its_caller_only() -> None:
    mine, other = kept(MINE), kept(THEIRS, "other")

    assert IdempotencyKey.objects.current(MINE, "k") == mine
    assert IdempotencyKey.objects.current(THEIRS, "k") is None
    assert IdempotencyKey.objects.current_among(THEIRS, ["k", "other"]) == {"other": other}
    assert IdempotencyKey.objects.current_among(MINE, ["other"]) == {}


def test_current_among_finds_the_keys_that_are_named() -> None:
    first, second, _ = kept(MINE, "1"), kept(MINE, "2"), kept(MINE, "3")

    assert IdempotencyKey.objects.current_among(MINE, ["1", "2", "9"]) == {"1": first, "2": second}


def test_release_deletes_the_keys_of_these_predictions() -> None:
    first, second = kept(MINE, "1"), kept(MINE, "2")

    assert IdempotencyKey.objects.release([first.prediction_id]) == 1
    assert list(IdempotencyKey.objects.all()) == [second]


def test_remove_expired_deletes_the_oldest_first() -> None:
    for hours in (26, 27, 25, 1):
        kept(MINE, str(hours), timedelta(hours=hours))

    assert IdempotencyKey.objects.remove_expired(2) == 2
    assert {key.key for key in IdempotencyKey.objects.all()} == {"25", "1"}
    assert IdempotencyKey.objects.remove_expired(2) == 1
    assert {key.key for key in IdempotencyKey.objects.all()} == {"1"}
