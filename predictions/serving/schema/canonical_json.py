"""Canonical JSON (RFC 8785): one text for one value, so that its hash can be computed again in any language."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

# ECMAScript writes a number with an exponent from these powers of ten on.
LARGE, SMALL = 21, -6


def canonical(value: Any) -> bytes:
    """The canonical text of a JSON value, in UTF-8. Numbers are finite."""
    return _text(value).encode()


def _text(value: Any) -> str:
    if isinstance(value, bool | str) or value is None:
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int | float):
        return _number(float(value))
    if isinstance(value, Mapping):
        ordered = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(f"{_text(name)}:{_text(value[name])}" for name in ordered) + "}"
    items: Sequence[Any] = value
    return "[" + ",".join(map(_text, items)) + "]"


def _number(value: float) -> str:
    """The number as ECMAScript's Number::toString writes it: the shortest digits that read back as the same double."""
    if value == 0:
        return "0"
    if "e" not in (plain := repr(value)):
        return plain.removesuffix(".0")
    sign, numerals, exponent = Decimal(plain).normalize().as_tuple()
    digits = "".join(map(str, numerals))
    return ("-" if sign else "") + _placed(digits, len(digits) + int(exponent))


def _placed(digits: str, point: int) -> str:
    """The digits with the decimal point after the first `point` of them; `point` may be negative or too large."""
    if not SMALL < point <= LARGE:
        rest = f".{digits[1:]}" if digits[1:] else ""
        return f"{digits[0]}{rest}e{point - 1:+d}"
    if point <= 0:
        return f"0.{'0' * -point}{digits}"
    if point >= len(digits):
        return digits + "0" * (point - len(digits))
    return f"{digits[:point]}.{digits[point:]}"
