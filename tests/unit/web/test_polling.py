from typing import Any

import pytest
from django.test import RequestFactory

from predictions.web import polling


@pytest.fixture(autouse=True)
def _cap(settings: Any) -> None:
    settings.POLL_ATTEMPTS = 40


@pytest.mark.parametrize(
    ("text", "attempt"),
    [
        ("0", 0),
        ("7", 7),
        ("40", 40),
        ("41", 40),
        ("99999999", 40),
        ("", 0),
        ("-1", 0),
        ("x", 0),
        ("²", 0),
        ("9" * 9, 0),
    ],
)
def test_attempt_is_a_number_up_to_the_cap(text: str, attempt: int) -> None:
    assert polling.attempt_of(RequestFactory().get("/", {"attempt": text})) == attempt


def test_attempt_that_is_not_given_is_the_first() -> None:
    assert polling.attempt_of(RequestFactory().get("/")) == 0


def test_cap_is_reached_with_the_last_attempt() -> None:
    assert [polling.is_capped(attempt) for attempt in (0, 39, 40, 41)] == [False, False, True, True]


@pytest.mark.parametrize(
    ("attempt", "expected_ms", "delay"),
    [(0, 0, 100), (0, 10, 100), (0, 400, 400), (1, 0, 150), (4, 0, 506.25), (0, 60_000, 5000), (40, 0, 5000)],
)
def test_delay_grows_from_what_is_expected_to_the_longest(attempt: int, expected_ms: float, delay: float) -> None:
    delays = [polling.delay_ms(attempt, expected_ms) for _ in range(300)]

    assert delay * 0.8 - 1 <= min(delays) < delay < max(delays) <= delay * 1.2 + 1


def test_delays_of_a_whole_page_are_minutes_not_hours() -> None:
    assert 60_000 < sum(polling.delay_ms(attempt, 5.0) for attempt in range(40)) < 240_000
