"""Values of features as the form shows them, and typed texts as values."""

from typing import Any

from django.utils.translation import gettext, ngettext

from predictions.serving.schema.signature import Boolean, Choice, Feature, Integer, Number, Text, Value
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


def choice_keys(feature: Choice) -> dict[Any, str]:
    """The text that each option sends, by value. The value "" has another key: "" means that nothing is chosen."""
    keys = {value: str(value) for value in feature.values}
    if "" in keys:
        empty = "(empty)"
        while empty in keys.values():
            empty += "_"
        keys[""] = empty
    return keys


def visible_label(label: str) -> str:
    """The label of a choice as pages show it. A label without a visible character is described."""
    if label.strip():
        return label
    spaces = ngettext("(%(count)s space)", "(%(count)s spaces)", len(label))
    return spaces % {"count": len(label)} if label else gettext("(empty)")


def read_value(feature: Feature, text: str) -> Any:
    """The value that a text stands for, None for no value; the signature decides whether it is allowed.

    Raises:
        Unreadable: the text stands for no number, where one is needed.
    """
    if isinstance(feature, Choice):
        return _choice(feature, text)
    text = text if isinstance(feature, Text) else text.strip()
    if not text.strip():
        return None
    if isinstance(feature, Number | Integer):
        number = read_number(text, feature.unit)
        is_whole = isinstance(feature, Integer) and number == number.to_integral_value()
        return int(number) if is_whole else float(number)
    if isinstance(feature, Boolean):
        return {**YES_OR_NO, gettext("yes"): True, gettext("no"): False}.get(text.lower(), text)
    return text


def _choice(feature: Choice, text: str) -> Any:
    """The one choice whose key is the text, or else its label, or else either of them in other capitals or spaces.

    Without such a choice, the text itself, or None for a blank text.
    """
    keys, folded = choice_keys(feature), _folded(text)
    names = [(value, name) for value, label in feature.choices for name in (keys[value], visible_label(label))]
    tries = (
        {value for value, key in keys.items() if key == text},
        {value for value, label in feature.choices if visible_label(label) == text},
        {value for value, name in names if folded and _folded(name) == folded},
    )
    return next((found.pop() for found in tries if len(found) == 1), text if folded else None)


def _folded(text: str) -> str:
    return text.strip().casefold()
