"""The body of feedback: `was_right`, `actual`, `comment`, each of its own type of JSON. Nothing is coerced."""

import math
from collections.abc import Callable, Iterator
from typing import Any

from predictions.api.parsers import parse
from predictions.api.prediction_body import pointer_to
from predictions.serving.schema.errors import InvalidInput, Problem
from predictions.serving.schema.wording import is_storable, printable

LONGEST_LABEL = 200
LONGEST_COMMENT = 2000


def read_feedback(content: bytes) -> dict[str, Any]:
    """The members of the body that are not null. Raises NotJSON or InvalidInput."""
    given = parse(content)
    if not isinstance(given, dict):
        raise InvalidInput([Problem(None, "wrong_type", "The body must be an object.", "")])
    if problems := list(_problems(given)):
        raise InvalidInput(problems)
    said = {name: value for name, value in given.items() if value is not None and value != ""}
    if not said:
        raise InvalidInput([Problem(None, "missing", "Say was_right, actual or comment.", "")])
    return said


def _problems(given: dict[str, Any]) -> Iterator[Problem]:
    for name in sorted(given.keys() - RULES.keys())[:20]:
        message = "Only was_right, actual and comment belong here."
        yield Problem(None, "unknown_member", message, pointer_to(printable(name)))
    for name, (is_good, message) in RULES.items():
        if name in given and not is_good(given[name]):
            yield Problem(None, "wrong_value", message, f"/{name}")


def _is_truth(value: Any) -> bool:
    if isinstance(value, dict):
        return bool(value) and all(_is_one_truth(name) and _is_one_truth(each) for name, each in value.items())
    return value is None or _is_one_truth(value)


def _is_one_truth(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST_LABEL and is_storable(value)
    return isinstance(value, int | float) and _is_finite(value)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False


def _is_comment(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_COMMENT and is_storable(value)


RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "was_right": (lambda value: value is None or isinstance(value, bool), "Must be true, false or null."),
    "actual": (
        _is_truth,
        f"Must be one finite number, or one label of at most {LONGEST_LABEL} characters; of several targets an object "
        "of these.",
    ),
    "comment": (_is_comment, f"Must be a text of at most {LONGEST_COMMENT} characters that can be stored."),
}
