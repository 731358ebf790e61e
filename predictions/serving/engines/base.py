"""Rows of values in, raw answers out: what every engine takes and gives, and how answers are compared.

Nothing here imports scikit-learn, since not every engine needs it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from predictions.serving.schema.signature import Boolean, Choice, Integer, Number, Signature, Value

Floats = npt.NDArray[np.float64]

# How far a stored number may be off: the same library on another processor sums in another order, and
# a probability computed as 1 - p carries that rounding in full.
RELATIVE_TOLERANCE = 1e-9
ABSOLUTE_TOLERANCE = 1e-12


class WrongShape(ValueError):
    """The estimator returned another number of answers than rows, or of probabilities than classes."""


@dataclass(frozen=True, slots=True)
class RawPredictions:
    """One raw answer per row. `outputs` are positions in `classes` (-1: a class that is not among them)
    or numbers of a regression; `probabilities` has a column per class, or is None."""

    outputs: Floats
    probabilities: Floats | None


class Engine(Protocol):
    """What answers rows: golden rows, metrics, calibration and serving all ask through one."""

    def ask(self, rows: Sequence[Sequence[Value]]) -> RawPredictions:
        """One answer per row, in order. Raises what the estimator raises, and WrongShape rather than mix rows up."""


def to_columns(rows: Sequence[Sequence[Value]], signature: Signature, kind: Literal["array", "frame"]) -> Any:
    """Cleaned rows as the estimator's input.

    A missing number becomes NaN; a missing text, or choice of texts, stays None. Numbers alone give float64;
    a text, or a choice of texts, makes it an object array.
    """
    if kind == "frame":
        return _frame(rows, signature)
    if all(is_numeric(feature) for feature in signature.features):
        # numpy reads None as NaN here, which saves a pass over the rows.
        return np.array(rows, dtype=np.float64)
    table = np.array(rows, dtype=object)
    for place, feature in enumerate(signature.features):
        if is_numeric(feature):
            table[:, place] = table[:, place].astype(np.float64)
    return table


def differences(stored: RawPredictions, given: RawPredictions, tolerance: float = ABSOLUTE_TOLERANCE) -> list[str]:
    """How answers differ from stored ones: outputs of classes exactly, numbers within the tolerance."""

    def is_close(old: float, new: float) -> bool:
        return math.isclose(old, new, rel_tol=RELATIVE_TOLERANCE, abs_tol=tolerance)

    found = []
    for row, (old, new) in enumerate(zip(stored.outputs.tolist(), given.outputs.tolist(), strict=True), start=1):
        if not is_close(old, new):
            found.append(f"row {row}: {new!r} instead of {old!r}")
    if (stored.probabilities is None) != (given.probabilities is None):
        return [*found, "probabilities are given by only one of the two"]
    if stored.probabilities is not None and given.probabilities is not None:
        if stored.probabilities.shape != given.probabilities.shape:
            return [*found, f"{given.probabilities.shape} probabilities"]
        pairs = zip(stored.probabilities.tolist(), given.probabilities.tolist(), strict=True)
        for row, (before, after) in enumerate(pairs, start=1):
            if not all(map(is_close, before, after)):
                found.append(f"row {row}: probabilities {after!r} instead of {before!r}")
    return found


def expect(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if shape != expected:
        raise WrongShape(f"the estimator answered in shape {shape} where {expected} was due")


def positions(labels: Sequence[Any], classes: Sequence[Any]) -> Floats:
    """Labels as positions in `classes`; -1 for one that is not among them."""
    known = {class_: place for place, class_ in enumerate(classes)}
    return np.array([known.get(label, -1) for label in labels], dtype=np.float64)


def is_numeric(feature: object) -> bool:
    if isinstance(feature, Choice):
        return all(isinstance(value, int) for value in feature.values)
    return isinstance(feature, Number | Integer | Boolean)


def _frame(rows: Sequence[Sequence[Value]], signature: Signature) -> Any:
    import pandas  # noqa: PLC0415  # only estimators that were trained on a DataFrame need pandas

    columns = zip(*rows, strict=True)
    return pandas.DataFrame(
        {
            feature.name: np.array(column, dtype=np.float64) if None in column and is_numeric(feature) else list(column)
            for feature, column in zip(signature.features, columns, strict=True)
        }
    )
