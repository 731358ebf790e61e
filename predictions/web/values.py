"""Values of features as the form shows them, and typed texts as values."""

from typing import Any

from django.utils.translation import gettext

from predictions.serving.schema.signature import Boolean, Choice, Feature, Integer, Number, Value
from predictions.web.formatting import exact_text
from predictions.web.number_input import read_number

YES_OR_NO = {"yes": True, "true": True, "no": False, "false": False}


def value_text(feature: Feature, value: Value) -> str:
    """A value as the form shows it."""
    if value is None:
        return gettext("not given")
    if isinstance(feature, Choice):
        return next((label for known, label in feature.choices if known == value), str(value))
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    return exact_text(value) if isinstance(value, float) else str(value)


def read_value(feature: Feature, text: str) -> Any:
    """The value that a text stands for; the signature decides whether it is allowed.

    Raises:
        Unreadable: the text stands for no number, where one is needed.
    """
    if isinstance(feature, Number | Integer):
        number = read_number(text, feature.unit)
        is_whole = isinstance(feature, Integer) and number == number.to_integral_value()
        return int(number) if is_whole else float(number)
    if isinstance(feature, Choice):
        return _choice(feature, text)
    if isinstance(feature, Boolean):
        return {**YES_OR_NO, gettext("yes"): True, gettext("no"): False}.get(text.lower(), text)
    return text


def _choice(feature: Choice, text: str) -> Any:
    for value, label in feature.choices:
        if text.lower() in (label.lower(), str(value).lower()):
            return value
    return text
