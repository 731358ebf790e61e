"""The engine interface: rows of values in, raw predictions out; and how predictions are compared.

Nothing here imports scikit-learn, since not every engine needs it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from predictions.serving.schema.signature import Boolean, Choice, Integer, Number, Value

Floats = npt.NDArray[np.float64]

# The allowed distance from a stored number. The same library may sum in another order on another processor, and a
# probability computed as 1 - p carries that rounding error in full.
RELATIVE_TOLERANCE = 1e-9
ABSOLUTE_TOLERANCE = 1e-12


class WrongShape(ValueError):
    """The estimator returned another number of answers than rows, or of probabilities than classes."""


@dataclass(frozen=True, slots=True)
class RawPredictions:
    """One raw answer per row. `outputs` are positions in `classes` (-1: a class that is not among them)
    or numbers of a regression; `probabilities` has a column per class, or is None. With several targets, `outputs` has
    a column per target, and `probabilities` the columns of one target after those of another."""

    outputs: Floats
    probabilities: Floats | None

    @property
    def are_finite(self) -> bool:
        shares = self.probabilities
        return bool(np.isfinite(self.outputs).all() and (shares is None or np.isfinite(shares).all()))


class Engine(Protocol):
    """Predicts rows. Golden rows, metrics, calibration and serving all use this interface."""

    def predict(self, rows: Sequence[Sequence[Value]]) -> RawPredictions:
        """One answer per row, in order. Raises the estimator's errors, and WrongShape for a wrong number of answers."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A row, by its position, with its expected and its given answer as text."""

    row: int
    expected: str
    given: str

    def __str__(self) -> str:
        return f"row {self.row + 1}: {self.given} instead of {self.expected}"


def differences(
    expected: RawPredictions,
    given: RawPredictions,
    tolerance: float = ABSOLUTE_TOLERANCE,
    relative: float = RELATIVE_TOLERANCE,
) -> list[Difference]:
    """The rows with an output or a probability that differs by more than `tolerance`, and also by more than the share
    `relative` of its size. Missing probabilities differ too.
    """
    unlike = _unlike(expected.outputs, given.outputs, tolerance, relative)
    found = {row: _outputs(row, expected, given) for row in unlike}
    before, after = expected.probabilities, given.probabilities
    if before is None and after is None:
        return list(found.values())
    if before is None or after is None or before.shape != after.shape:
        return [*found.values(), Difference(0, _shape(before), _shape(after))]
    for row in _unlike(before, after, tolerance, relative):
        found.setdefault(
            row, Difference(row, f"probabilities {before[row].tolist()}", f"probabilities {after[row].tolist()}")
        )
    return [found[row] for row in sorted(found)]


def _unlike(expected: Floats, given: Floats, tolerance: float, relative: float) -> list[int]:
    if expected.shape != given.shape:
        raise WrongShape(f"answers of shape {given.shape} where {expected.shape} was due")
    allowed = np.maximum(relative * np.maximum(np.abs(expected), np.abs(given)), tolerance)
    close = (np.abs(expected - given) <= allowed).reshape(len(expected), -1).all(axis=1)
    found: list[int] = np.flatnonzero(~close).tolist()
    return found


def _outputs(row: int, expected: RawPredictions, given: RawPredictions) -> Difference:
    return Difference(row, repr(expected.outputs[row].tolist()), repr(given.outputs[row].tolist()))


def _shape(probabilities: Floats | None) -> str:
    return "no probabilities" if probabilities is None else f"probabilities of {probabilities.shape[1]} classes"


def expect(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if shape != expected:
        raise WrongShape(f"the estimator answers in shape {shape} where {expected} is due")


def positions(labels: Sequence[Any], classes: Sequence[Any]) -> Floats:
    """Labels as positions in `classes`; -1 for a label that is not a class."""
    known = {class_: place for place, class_ in enumerate(classes)}
    return np.array([known.get(label, -1) for label in labels], dtype=np.float64)


def is_numeric(feature: object) -> bool:
    if isinstance(feature, Choice):
        return all(isinstance(value, int | float) for value in feature.values)
    return isinstance(feature, Number | Integer | Boolean)
