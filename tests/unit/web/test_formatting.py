"""Numbers, shares and times as people read them."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictions.web.formatting import (
    duration_text,
    exact_text,
    frequency_text,
    interval_text,
    number_text,
    percent_text,
    probability_text,
    rounded_text,
    score_text,
    share_interval_text,
)

shares = st.floats(0, 1)
finite = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (152.13, "152.1"),
        (9.99996, "10"),
        (-3.5, "\u22123.5"),
        (1234.5, "1234"),
        (1234567.0, "1\u202f234\u202f567"),
        (67_060_000.0, "67\u202f060\u202f000"),
        (1.2345e18, "1.234e18"),
        (0.00012, "0.00012"),
        (0.00001, "1e\u22125"),
    ],
)
def test_number_has_four_significant_digits_and_no_fewer_whole_ones(value: float, text: str) -> None:
    assert number_text(value) == text


def test_exact_number_keeps_all_its_digits() -> None:
    assert [exact_text(value) for value in (0.1 + 0.2, 20.0, 123456.75, -1e-7)] == [
        "0.30000000000000004",
        "20",
        "123\u202f456.75",
        "\u22121e\u22127",
    ]


@pytest.mark.parametrize(
    ("value", "place", "text"), [(152.13, 1, "150"), (152.13, 0, "152"), (1.5, -2, "1.50"), (-0.4, 0, "0")]
)
def test_number_is_rounded_to_a_place(value: float, place: int, text: str) -> None:
    assert rounded_text(value, place) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "< 0.1 %"), (0.0009, "< 0.1 %"), (0.001, "0.1 %"), (0.5, "50.0 %"), (0.9995, "> 99.9 %"), (1.0, "> 99.9 %")],
)
def test_probability_is_never_shown_as_certain(share: float, text: str) -> None:
    assert probability_text(share) == text


@given(shares)
def test_probability_is_never_zero_or_hundred(share: float) -> None:
    assert probability_text(share) not in ("0.0 %", "100.0 %")


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "fewer than 5 in 100"),
        (0.05, "about 5 in 100"),
        (0.1, "about 10 in 100"),
        (0.7, "about 7 in 10"),
        (0.72, "about 7 in 10"),
        (0.75, "about 75 in 100"),
        (0.95, "about 95 in 100"),
        (0.951, "more than 95 in 100"),
        (1.0, "more than 95 in 100"),
    ],
)
def test_share_is_a_natural_frequency(share: float, text: str) -> None:
    assert frequency_text(share) == text


@given(shares)
def test_frequency_is_within_three_points_and_never_one_in_something(share: float) -> None:
    text = frequency_text(share)

    number, total = map(int, re.findall(r"\d+", text))
    assert number != 1
    if text.startswith("about"):
        assert abs(number / total - share) < 0.03
    else:
        assert share > 0.95 if text.startswith("more") else share < 0.05


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [
        (0.0, 0, "0 %"),
        (0.0, 1, "0.0 %"),
        (0.0004, 1, "< 0.1 %"),
        (0.0006, 1, "0.1 %"),
        (0.004, 0, "< 1 %"),
        (0.994, 0, "99 %"),
        (0.998, 0, "> 99 %"),
        (0.998, 1, "99.8 %"),
        (0.9999, 1, "> 99.9 %"),
        (1.0, 0, "100 %"),
        (1.0, 1, "100.0 %"),
    ],
)
def test_only_all_is_written_as_a_hundred_percent(share: float, digits: int, text: str) -> None:
    assert percent_text(share, digits) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1"), (0.99998, "> 0.9999"), (0.99994, "0.9999"), (0.0, "0"), (-0.5, "\u22120.5")]
)
def test_only_a_perfect_score_is_written_as_one(value: float, text: str) -> None:
    assert score_text(value) == text


@pytest.mark.parametrize(
    ("right", "of", "text"),
    [(9999, 10000, "99-100 %"), (10000, 10000, "99-100 %"), (0, 100000, "0-1 %"), (1, 100000, "0-1 %")],
)
def test_interval_of_a_share_is_neither_surely_all_nor_surely_nothing(right: int, of: int, text: str) -> None:
    assert share_interval_text(right, of).replace("\N{EN DASH}", "-") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 ms"),
        (0.0304, "30 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (1, "1.0 s"),
        (75.26, "75.3 s"),
        (119.94, "119.9 s"),
        (119.97, "2 min"),
        (300, "5 min"),
        (7199.9, "2 h"),
        (7200, "2 h"),
    ],
)
def test_duration_is_in_the_unit_that_fits(seconds: float, text: str) -> None:
    assert duration_text(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("value", "low", "high", "texts"),
    [
        (204.9, 97.86, 311.9, ("200", "90", "320")),
        (70.56, 0.0, 141.2, ("70", "0", "150")),
        (7.25, 5.9, 9.04, ("7.2", "5.9", "9.1")),
        (1.00002e15, 1.00001e15, 1.00003e15, ("1.00002e15", "1.00001e15", "1.00003e15")),
        (1.23456e-14, 1.23412e-14, 1.23488e-14, ("1.2346e\u221214", "1.2341e\u221214", "1.2349e\u221214")),
        (0.0, -1.7e308, 1.7e308, ("0", "\u22121.7e308", "1.7e308")),
        (0.0, 0.0, 5e-324, ("0", "0", "5e\u2212324")),
    ],
)
def test_interval_is_rounded_outwards_to_digits_that_mean_something(
    value: float, low: float, high: float, texts: tuple[str, str, str]
) -> None:
    assert interval_text(value, low, high) == texts


@given(st.tuples(finite, finite, finite).filter(lambda three: len(set(three)) > 1))
def test_interval_of_any_numbers_contains_the_exact_interval(three: tuple[float, float, float]) -> None:
    low, value, high = sorted(three)
    shown = [_decimal(text) for text in interval_text(value, low, high)]

    assert shown[1] <= Decimal(repr(low)) < Decimal(repr(high)) <= shown[2]
    assert shown[1] < shown[2]


def _decimal(text: str) -> Decimal:
    return Decimal(text.replace("\N{MINUS SIGN}", "-").replace("\N{NARROW NO-BREAK SPACE}", ""))


@given(low=st.integers(1, 10_000), width=st.floats(0.1, 5_000))
def test_interval_in_words_is_at_most_half_as_wide_again(low: int, width: float) -> None:
    _, *ends = interval_text(low + width / 2, low, low + width)
    said = [float(text.replace("\N{NARROW NO-BREAK SPACE}", "").replace("\N{NO-BREAK SPACE}", "")) for text in ends]

    assert said[0] <= low
    assert said[1] >= low + width - 1e-9
    assert said[1] - said[0] < 1.5 * width + 1e-6
