"""Typed numbers are read as they were meant, or refused with a sentence that names the reason."""

import math

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from predictions.web.formatting import exact_text, number_text, rounded_text
from predictions.web.number_input import Unreadable, read_number
from tests.support.numbers import GERMAN, NUMBERS, REFUSED

finite = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(("text", "unit", "number"), NUMBERS)
def test_number_is_read_as_it_was_meant(text: str, unit: str, number: float) -> None:
    assert float(read_number(text, unit)) == number


@pytest.mark.parametrize(("text", "unit", "code"), REFUSED)
def test_unclear_text_is_refused_with_its_reason(text: str, unit: str, code: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        read_number(text, unit)

    assert refusal.value.code == code.removeprefix("?")


@pytest.mark.parametrize(
    ("text", "unit", "message"),
    [
        ("1,234", "", "“1,234” can be read in two ways. Type 1234 or 1.234."),
        ("abc", "", "“abc” is not a number. Use digits, for example 12.5."),
        ("1_000", "", "“1_000” is not a number. Leave out the underscore."),
        ("1-2", "", "“1-2” is not a number. It has a sign in the middle; type one number."),
        ("--", "", "“--” is not a number. Use digits, for example 12.5."),
        ("1/2", "", "“1/2” is not a number. Write a fraction as a decimal number, for example 0.5."),
        ("<5", "", "“<5” is not a number. Leave out “<”."),
        ("0x10", "", "“0x10” is not a number. Write it with digits and one decimal mark, for example 1234.5."),
        ("5 mm", "cm", "“5 mm” has another unit than this field. Give the value in cm."),
        ("5 %", "", "“5 %” is not a number. Leave out what follows the number: this value has no unit."),
        ("1e400", "", "“1e400” is too large. The largest number that can be used is about 1.8e308."),
        ("1e-400", "", "“1e-400” is too small to be kept. Type 0 if that is meant."),
        ("5\0", "", "“5” is not a number. It holds an invisible character."),
        ("9" * 401, "", f"“{'9' * 40}…” is not a number. It has more than 400 characters."),
        (
            "5.1\t3.5",
            "",
            "These look like 2 values. Type one value in each field. Where the browser runs JavaScript, a row that is"
            " pasted into the first field can fill the fields in order.",
        ),
    ],
)
def test_message_names_what_is_wrong(text: str, unit: str, message: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        read_number(text, unit)

    assert str(refusal.value) == message


def test_whole_number_is_read_without_loss() -> None:
    assert int(read_number("9 007 199 254 740 993")) == 9007199254740993


# --- What these pages write can be typed back in ----------------------------------------------------------------------
@given(finite)
def test_exact_text_is_read_as_the_same_number(value: float) -> None:
    assert float(read_number(exact_text(value))) == value


@given(st.floats(-1.797e308, 1.797e308))  # a larger one, rounded to four digits, is above every float
def test_number_text_is_read_as_the_number_it_shows(value: float) -> None:
    read = float(read_number(number_text(value)))

    assert math.isclose(read, value, rel_tol=6e-4, abs_tol=0)
    assert number_text(read) == number_text(value)


@given(st.floats(-1e14, 1e14), st.integers(-6, 6))
def test_rounded_text_is_read_as_the_number_it_shows(value: float, place: int) -> None:
    read = float(read_number(rounded_text(value, place)))

    assert abs(read - value) <= 10.0**place * 0.5 + abs(value) * 1e-12


@given(st.floats(-1e300, 1e300), st.integers(-320, 300))
def test_number_that_is_rounded_to_any_place_is_read_as_the_number_it_shows(value: float, place: int) -> None:
    read = float(read_number(rounded_text(value, place)))

    assert math.isclose(read, value, rel_tol=1e-15, abs_tol=0.5000001 * 10.0**place)


@given(finite, st.sampled_from(["mm", "kg/m²", "%", "€"]))
def test_number_with_the_unit_of_its_field_is_the_number(value: float, unit: str) -> None:
    assert float(read_number(f"{exact_text(value)} {unit}", unit)) == value


@given(st.text(max_size=60), st.sampled_from(["", "mm", "1/s"]))
def test_any_text_is_a_number_or_is_refused_in_a_sentence(text: str, unit: str) -> None:
    found = _read(text, unit)

    assert found.endswith(".") if isinstance(found, str) else math.isfinite(found)


def _read(text: str, unit: str) -> float | str:
    try:
        return float(read_number(text, unit))
    except Unreadable as error:
        return str(error)


@pytest.mark.parametrize(("text", "expected"), GERMAN)
def test_number_on_a_german_page_is_read_as_germans_write_it(text: str, expected: float | str) -> None:
    with translation.override("de"):
        if isinstance(expected, str):
            with pytest.raises(Unreadable, match=r"1,234 oder -?1234") as refusal:
                read_number(text, "mm")
            assert refusal.value.code == expected
        else:
            assert float(read_number(text, "mm")) == expected


@given(st.floats(-1e300, 1e300), st.integers(-6, 3))
def test_number_that_a_german_page_writes_is_read_there_as_itself(value: float, place: int) -> None:
    with translation.override("de"):
        assert float(read_number(exact_text(value))) == value
        assert math.isclose(float(read_number(number_text(value))), value, rel_tol=1e-3, abs_tol=1e-300)
        assert math.isclose(float(read_number(rounded_text(value, place))), value, rel_tol=1e-3, abs_tol=10.0**place)
