"""Numbers as texts of a file have them: which decimal sign they show, and what they stand for.

Reading, exports and corrections all use this module. It imports neither numpy nor pyarrow, for the web process.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

_SPACES = r"[ '\u00a0\u2009\u202f\u2019]"
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.ASCII | re.IGNORECASE)
# The other decimal sign may group digits only if it repeats, or if both signs occur: "1,234" would be ambiguous.
NUMBERS = {
    ".": re.compile(
        rf"[+-]?(\d+|[1-9]\d{{0,2}}({_SPACES}\d{{3}})+|[1-9]\d{{0,2}}(,\d{{3}}){{2,}}|[1-9]\d{{0,2}}(,\d{{3}})+(?=\.))?"
        r"(\.\d*)?([eE][+-]?\d{1,3})?",
        re.ASCII,
    ),
    ",": re.compile(
        rf"[+-]?(\d+|[1-9]\d{{0,2}}({_SPACES}\d{{3}})+|[1-9]\d{{0,2}}(\.\d{{3}}){{2,}}|[1-9]\d{{0,2}}(\.\d{{3}})+(?=,))?"
        r"(,\d*)?([eE][+-]?\d{1,3})?",
        re.ASCII,
    ),
}
# A number with two readings: its mark separates thousands, or decimals. A regular expression for Python and pyarrow.
TWO_READINGS = r"^[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}$"
_TWO_READINGS = re.compile(TWO_READINGS)
_MINUS = str.maketrans(dict.fromkeys("\u2212\u2013\ufe63\uff0d", "-"))
# The decimal sign is clear if so many more cells show it than show the other one: no stray cells outweigh it.
CLEAR_LEAD = 50
_BETWEEN, _LEADING_ZERO = "\x1f", "\x01"
_SHAPE = str.maketrans({**dict.fromkeys("0123456789", "9"), _LEADING_ZERO: "0"})


def read_number(text: str, decimal: str, *, is_doubtful: bool = False) -> Any:
    """A float (also NaN and infinity, which the signature refuses by name), or the text if it is no number.

    `is_doubtful`: nothing shows that `decimal` is the decimal sign, so a text with two readings stays a text.
    """
    standard = text.translate(_MINUS)
    if NUMBERS[decimal].fullmatch(standard) and re.search(r"\d", standard):
        if is_doubtful and _TWO_READINGS.fullmatch(standard):
            return text
        other = "," if decimal == "." else "."
        return float(re.sub(_SPACES, "", standard).replace(other, "").replace(decimal, "."))
    if _NOT_FINITE.fullmatch(standard):
        return float(standard)
    return text


def written_number(number: float | str, decimal: str, *, is_doubtful: bool = False) -> str:
    """A text that `read_number` reads as this number, which may be a text with a decimal point."""
    text = number if isinstance(number, str) else repr(number).removesuffix(".0")
    if is_doubtful and has_two_readings(text):
        text += "0"
    return text.replace(".", decimal)


def has_two_readings(text: str) -> bool:
    return _TWO_READINGS.fullmatch(text.translate(_MINUS)) is not None


def find_decimal(lots: Iterable[Iterable[str]]) -> str | None:
    """The decimal sign that most cells show; None if no cell shows one, or as many show the other one.

    Lots of cells are looked at until the lead of one sign is clear, or no lot is left.
    """
    shown: Counter[str] = Counter()
    for cells in lots:
        shown += _signs(cells)
        if abs(shown["."] - shown[","]) >= CLEAR_LEAD:
            break
    if shown["."] == shown[","]:
        return None
    return "." if shown["."] > shown[","] else ","


def _signs(cells: Iterable[str]) -> Counter[str]:
    """How many cells show each sign: the one with which alone they are numbers, unless they have two readings."""
    shown: Counter[str] = Counter()
    for shape, count in _shapes(cells).items():
        signs = [sign for sign, pattern in NUMBERS.items() if pattern.fullmatch(shape)]
        if len(signs) == 1 and re.search(r"\d", shape) and not _TWO_READINGS.fullmatch(shape):
            shown[signs[0]] += count
    return shown


def _shapes(cells: Iterable[str]) -> Counter[str]:
    """How often each form of a number occurs: with 9 for each digit, but 0 for one at its start. There are few forms of
    many numbers, and they are found without looking at one number after the other."""
    text = _BETWEEN + _BETWEEN.join(cells).translate(_MINUS)
    for sign in ("", "-", "+"):
        text = text.replace(f"{_BETWEEN}{sign}0", f"{_BETWEEN}{sign}{_LEADING_ZERO}")
    return Counter(text.translate(_SHAPE).split(_BETWEEN))
