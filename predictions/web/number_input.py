"""Reads a number as people write it, or says why that cannot be done.

`static/number-input.js` follows the same rules in the browser; both are tested on one table of cases. The decimal mark
is a point or a comma; spaces and apostrophes, and the other mark, may separate groups of three digits. A text that has
two readings is refused, for example `1,234` on an English page and `1.234` on a German one. The decimal mark of the
page's language, if it occurs once, is always read as a decimal mark, because the page writes numbers in this way.
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar

from django.utils.translation import gettext, gettext_lazy

from predictions.web.formatting import decimal_mark

# Longer texts are refused: a float has far fewer digits.
LONGEST = 400
_QUOTED = 40

_SEPARATORS = re.compile(r"[\t\r\n;]")
_MINUS: dict[int, str | int] = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2212\ufe63"), "-")
_APOSTROPHES: dict[int, str | int] = dict.fromkeys(map(ord, "\u2019\u02bc\u00b4`"), "'")
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_STANDARD: dict[int, str | int] = {**_MINUS, **_APOSTROPHES, **_FULL_WIDTH}
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")

_PARTS = re.compile(
    r"(?P<sign>[+-]?) ?(?P<mantissa>\d[\d.,' ]*|[.,]\d+)"
    r"(?:[eE](?P<e>[+-]?\d+)| ?[x×*·⋅] ?10(?:\^(?P<power>[+-]?\d+)|(?P<raised>[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)))?",  # noqa: RUF001 - the sign of multiplication
    re.ASCII,
)
_POINT = re.compile(r"\d+\.?\d*|\.\d+", re.ASCII)
_COMMA = re.compile(r"\d+,\d*|,\d+", re.ASCII)
_SPACED = re.compile(r"[1-9]\d{0,2}([ '])\d{3}(\1\d{3})*([.,]\d*)?", re.ASCII)
# Digit groups separated by commas, and by points, for each decimal mark of a page. The page's decimal mark separates
# groups only if it occurs twice, or together with the other mark.
_GROUPS = {
    ".": (
        re.compile(r"[1-9]\d{0,2}(,\d{3})+(\.\d*)?", re.ASCII),
        re.compile(r"[1-9]\d{0,2}(\.\d{3})((\.\d{3})+(,\d*)?|,\d*)", re.ASCII),
    ),
    ",": (
        re.compile(r"[1-9]\d{0,2}(,\d{3})((,\d{3})+(\.\d*)?|\.\d*)", re.ASCII),
        re.compile(r"[1-9]\d{0,2}(\.\d{3})+(,\d*)?", re.ASCII),
    ),
}
_ONE_OF_SEVERAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class Unreadable(ValueError):
    """`code` is `not_a_number`, `two_ways`, `several`, `other_unit`, `too_large` or `too_small`."""

    MESSAGES: ClassVar = {
        "several": gettext_lazy(
            "These look like %(count)s values. Type one value in each field. Where the browser runs JavaScript,"
            " a row that is pasted into the first field can fill the fields in order."
        ),
        "two_ways": gettext_lazy("“%(text)s” can be read in two ways. Type %(readings)s."),
        "other_unit": gettext_lazy("“%(text)s” has another unit than this field. Give the value in %(unit)s."),
        "too_large": gettext_lazy("“%(text)s” is too large. The largest number that can be used is about 1.8e308."),
        "too_small": gettext_lazy("“%(text)s” is too small to be kept. Type 0 if that is meant."),
        "not_a_number": gettext_lazy("“%(text)s” is not a number. %(remedy)s"),
    }

    def __init__(self, code: str, text: str, **details: object) -> None:
        shown = "".join(character for character in text[: _QUOTED + 1] if character.isprintable())
        quoted = f"{shown[:_QUOTED]}…" if len(text) > _QUOTED else shown
        super().__init__(self.MESSAGES[code] % {"text": quoted, **details})
        self.code = code


def read_number(text: str, unit: str = "") -> Decimal:
    """The number that `text` stands for; it may end (or begin) with the unit of its field.

    Raises:
        Unreadable: the text is no number, several numbers, a number with two readings or another unit, or a number
            too large or too small for a float.
    """
    tidy = _tidy(text)
    if _SEPARATORS.search(tidy):
        raise Unreadable("several", tidy, count=len([cell for cell in _SEPARATORS.split(tidy) if cell.strip()]))
    bare = _spaced(_without_unit(tidy, unit))
    parts = _PARTS.fullmatch(bare) if len(bare) <= LONGEST else None
    readings = _readings(parts["mantissa"].rstrip(" ")) if parts else []
    if parts is None or not readings:
        raise _unreadable(tidy, bare, unit)
    exponent = _exponent(parts)
    numbers = [f"{parts['sign']}{reading}{exponent}" for reading in readings]
    if len(numbers) > 1:
        raise Unreadable("two_ways", tidy, readings=_alternatives(numbers))
    _check_size(tidy, float(numbers[0]), readings[0])
    return Decimal(numbers[0]) if float(numbers[0]) else Decimal(0)  # a zero may have any exponent, a Decimal may not


def _alternatives(numbers: Sequence[str]) -> str:
    """The two readings as the page writes numbers, so that each of them has one reading there."""
    one, other = (number.replace(".", decimal_mark()) for number in numbers)
    return gettext("%(one)s or %(other)s") % {"one": one, "other": other}


# --- Tidying ----------------------------------------------------------------------------------------------------------
def _tidy(text: str) -> str:
    """The text without invisible characters, and with signs, digits and apostrophes in their plain form."""
    visible = "".join(character for character in text if unicodedata.category(character) != "Cf")
    return visible.translate(_STANDARD).strip()


def _spaced(text: str) -> str:
    return re.sub(r"\s", " ", text.strip())


def _without_unit(text: str, unit: str) -> str:
    """The text without its unit. Capitals, spaces and raised digits make no difference between units: `m²` is `M2`."""
    wanted = _folded(unit)
    if not wanted or not re.search(r"[^\d\s]", wanted):
        return text
    for cut in range(1, min(len(text), LONGEST)):
        head, tail = text[:cut], text[cut:]
        # A unit that begins with a digit ("1/s") must stand apart from the number.
        if _folded(tail) == wanted and (not wanted[0].isdigit() or head[-1].isspace()):
            return head
        if _folded(head) == wanted and not wanted[-1].isdigit():
            return tail
    return text


def _folded(text: str) -> str:
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text).lower())


# --- Reading ----------------------------------------------------------------------------------------------------------
def _readings(mantissa: str) -> list[str]:
    """All numbers that the digits and marks can stand for, with a decimal point and without groups."""
    found = []
    comma_groups, point_groups = _GROUPS[decimal_mark()]
    if comma_groups.fullmatch(mantissa):
        found.append(mantissa.replace(",", ""))
    if _POINT.fullmatch(mantissa):
        found.append(mantissa)
    if _COMMA.fullmatch(mantissa):
        found.append(mantissa.replace(",", "."))
    if _SPACED.fullmatch(mantissa):
        found.append(re.sub("[ ']", "", mantissa).replace(",", "."))
    if point_groups.fullmatch(mantissa):
        found.append(mantissa.replace(".", "").replace(",", "."))
    return found


def _exponent(parts: re.Match[str]) -> str:
    digits = parts["e"] or parts["power"] or (parts["raised"] or "").translate(_SUPERSCRIPTS)
    return f"e{digits}" if digits else ""


def _check_size(text: str, number: float, digits: str) -> None:
    if not math.isfinite(number):
        raise Unreadable("too_large", text)
    if number == 0.0 and digits.strip("0."):
        raise Unreadable("too_small", text)


# --- Saying what is wrong ---------------------------------------------------------------------------------------------
def _unreadable(text: str, bare: str, unit: str) -> Unreadable:
    cells = [cell for cell in re.split(r"[\s,]+", bare) if cell]
    if len(cells) > 1 and all(map(_ONE_OF_SEVERAL.fullmatch, cells)):
        return Unreadable("several", text, count=len(cells))
    if _has_another_unit(bare):
        if unit:
            return Unreadable("other_unit", text, unit=unit)
        return Unreadable("not_a_number", text, remedy=_without_rest())
    return Unreadable("not_a_number", text, remedy=_remedy(bare))


def _without_rest() -> str:
    return gettext("Leave out what follows the number: this value has no unit.")


def _has_another_unit(bare: str) -> bool:
    found = re.match(r"[+-]?[\d.,' ]*\d(?P<rest> ?[^\W\d_].*| ?[%‰°€$£].*)$", bare)
    if not found:
        return False
    rest = found["rest"]
    return rest.startswith(" ") or not re.search(r"\d", rest)


def _remedy(bare: str) -> str:
    if len(bare) > LONGEST:
        return gettext("It has more than %(count)s characters.") % {"count": LONGEST}
    if not re.search(r"[0-9]", bare):
        return gettext("Use digits, for example %(number)s.") % {"number": _example(12.5)}
    if "_" in bare:
        return gettext("Leave out the underscore.")
    if "/" in bare:
        return gettext("Write a fraction as a decimal number, for example %(number)s.") % {"number": _example(0.5)}
    if re.search(r"\d ?[+-]", bare):
        return gettext("It has a sign in the middle; type one number.")
    if strange := re.search(r"[^\w.,' +-]", bare):
        if not strange[0].isprintable():
            return gettext("It holds an invisible character.")
        return gettext("Leave out “%(character)s”.") % {"character": strange[0]}
    return gettext("Write it with digits and one decimal mark, for example %(number)s.") % {"number": _example(1234.5)}


def _example(number: float) -> str:
    return f"{number:g}".replace(".", decimal_mark())
