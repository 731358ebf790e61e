"""Messages about invalid or unusual values (what is expected, and the remedy), and checks of texts from outside."""

import math
import re
from typing import Any

from predictions.serving.schema.sentences import english

NOT_A_ROW = english("Give the features as an object, name by name, or as a list of values in signature order.")
UNKNOWN_FEATURE = english("This model has no feature of this name. Leave it out, or correct its spelling.")
UNSEEN_CATEGORY = english("The training data has no example of this choice, so the answer is less certain.")

_KINDS = {
    "number": english("Must be a number."),
    "integer": english("Must be a whole number."),
    "boolean": english("Must be true or false."),
    "text": english("Must be text."),
    "date": english("Must be a date, written as year-month-day: 2024-05-31."),
}
# Messages repeat names and choices that come from outside. This length keeps the messages readable.
_LONGEST = 80
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def explain(feature: Any, error: str, given: object) -> tuple[str, str]:
    """The (code, message) for pydantic's error type `error` at a feature. `given` is the refused value."""
    if given is None or error in ("missing", "string_too_short"):
        return "missing", english("Please fill this in.")
    if error == "finite_number" or _exceeds_float(given):
        return "not_finite", english("Must be a finite number, smaller than 1.8e308.")
    if error == "greater_than_equal":
        return "below_minimum", english("Must be at least {number}.", number=_limit(feature, "minimum"))
    if error == "less_than_equal":
        return "above_maximum", english("Must be at most {number}.", number=_limit(feature, "maximum"))
    if error == "string_too_long":
        return "too_long", english("Must be at most {most} characters long.", most=feature.max_length)
    if error == "unknown_choice":
        return "unknown_choice", english("Must be one of: {choices}.", choices=_choices(feature))
    if error == "string_unicode":
        return "wrong_type", english("Must be plain text; it contains a character that cannot be stored.")
    return "wrong_type", _KINDS[feature.kind]


def wrong_length(expected: int, given: int) -> str:
    return english(
        "Needs {expected} values, one for each feature in signature order; {given} were given.",
        expected=expected,
        given=given,
    )


def below_training(feature: Any, low: float) -> str:
    return english(
        "Lower than anything in the training data (from {low}): less certain.", low=_measure(low, feature.unit)
    )


def above_training(feature: Any, high: float) -> str:
    measure = _measure(high, feature.unit)
    return english("Higher than anything in the training data (up to {high}): less certain.", high=measure)


def is_storable(text: str) -> bool:
    """Whether SQLite and PostgreSQL both keep this text. PostgreSQL keeps no NUL, and half of a surrogate pair cannot
    be written as UTF-8."""
    return _UNSTORABLE.search(text) is None


def printable(name: object) -> str:
    """Text from outside that any encoder and any database accepts, shortened to a readable length."""
    text = str(name).replace("\x00", "\N{SYMBOL FOR NULL}").encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _exceeds_float(given: object) -> bool:
    if isinstance(given, int):
        try:
            float(given)
        except OverflowError:
            return True
    return isinstance(given, float) and not math.isfinite(given)


def _limit(feature: Any, which: str) -> str:
    limit = getattr(feature, which)
    if limit is None:  # only a whole number has bounds without model.toml
        return "9007199254740991" if which == "maximum" else "-9007199254740991"
    return _with_unit(limit, feature.unit)


def _with_unit(value: float | str, unit: str) -> str:
    return f"{_plain(value)} ({unit})" if unit else _plain(value)


def _measure(value: float, unit: str) -> str:
    return f"{_plain(value)} {unit}".rstrip()


def _plain(value: float | str) -> str:
    return format(value, ".12g") if isinstance(value, float) else str(value)


def _choices(feature: Any) -> str:
    named = (str(v) if str(v) == label else f"{v} ({label})" for v, label in feature.choices)
    return printable(", ".join(named))
