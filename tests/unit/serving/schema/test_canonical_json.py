"""Canonical JSON, by the examples of RFC 8785 and by numbers as ECMAScript writes them."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictions.serving.schema.canonical_json import canonical


# From RFC 8785, appendix B: IEEE 754 bits and the text.
@pytest.mark.parametrize(
    ("bits", "text"),
    [
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("c340000000000000", "-9007199254740992"),
        ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("44b52d02c7e14af7", "1.0000000000000001e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef4f", "999999999999999900000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
    ],
)
def test_number_is_written_as_ecmascript_writes_it(bits: str, text: str) -> None:
    [number] = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical(number).decode() == text


def test_members_are_sorted_by_utf_16_units() -> None:
    # From RFC 8785, section 3.2.3.
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    assert list(json.loads(canonical(dict.fromkeys(names)))) == [
        "\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33",
    ]  # fmt: skip


def test_text_keeps_its_characters_and_escapes_control_characters() -> None:
    assert canonical({"b": [None, True, 'é"\\\n\x0f€'], "a": 5.0}).decode() == (
        '{"a":5,"b":[null,true,"é\\"\\\\\\n\\u000f€"]}'
    )


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_number_reads_back_as_the_same_number(number: float) -> None:
    assert float(json.loads(canonical(number))) == number
