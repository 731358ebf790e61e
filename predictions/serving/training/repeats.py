"""Finds held-out rows that also stand in the training data, and so show nothing of new rows."""

from dataclasses import dataclass
from typing import Any

from predictions.serving.engines.base import Floats
from predictions.serving.schema.sentences import english
from predictions.serving.schema.signature import Value

# From this share on, repeated rows are remarked on.
MANY = 0.1
ALL_REPEATED = english(
    "Each held-out row also stands in the training data with the same answer, so how good the version is was not"
    " measured."
)


@dataclass(frozen=True, slots=True)
class KnownRows:
    """Cleaned rows with their true answers: numbers, class positions, or a column of these for each target."""

    values: list[list[Value]]
    truth: Floats | None


def all_repeated(training: KnownRows | None, held_out: KnownRows | None) -> bool:
    """Whether each held-out row is also a training row, always with the same answer."""
    if training is None or held_out is None:
        return False
    return 0 < len(held_out.values) == _repeated(training, held_out)


def remarks(training: KnownRows | None, held_out: KnownRows | None) -> list[str]:
    """What to tell a person about repeated rows."""
    if training is None or held_out is None:
        return []
    count, rows = _repeated(training, held_out), len(held_out.values)
    if count < max(MANY * rows, 1):
        return []
    if count == rows:
        return [ALL_REPEATED]
    return [
        english(
            "{count} of {rows} held-out rows also stand in the training data with the same answer, so what was measured"
            " may be too good.",
            count=count,
            rows=rows,
        )
    ]


def _repeated(training: KnownRows, held_out: KnownRows) -> int:
    """How many held-out rows are also training rows, always with the same true answer. 0 without true answers."""
    if training.truth is None or held_out.truth is None:
        return 0
    answers: dict[tuple[Value, ...], set[Any]] = {}
    for row, answer in zip(training.values, training.truth.tolist(), strict=True):
        answers.setdefault(tuple(row), set()).add(_hashable(answer))
    asked = zip(held_out.values, held_out.truth.tolist(), strict=True)
    return sum(answers.get(tuple(row)) == {_hashable(answer)} for row, answer in asked)


def _hashable(answer: Any) -> Any:
    return tuple(answer) if isinstance(answer, list) else answer
