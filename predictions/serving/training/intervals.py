"""Conformal intervals of a regression. Their width follows the difficulty of the row if that improves them."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from predictions.serving.artifacts.sureness import Evidence, Interval
from predictions.serving.engines.base import Floats
from predictions.serving.schema.sentences import english
from predictions.serving.training.calibrate import Mask, Unsupported, folds
from predictions.serving.training.conformal import (
    INTERVAL_COVERAGES,
    best_coverage,
    conformal_quantile,
    measured,
)

# A target may exceed the range of the data by a tenth of that range on each side.
WIDENED = 0.1


@dataclass(frozen=True, slots=True)
class Bounds:
    """The possible range of the target, and its source: model.toml or the data."""

    low: float | None
    high: float | None
    bounds_from: Literal["model", "training"] | None


@dataclass(frozen=True, slots=True)
class _Widths:
    """Half-widths of cross-validated intervals: each row's quantile is from the other folds."""

    half: Floats
    covered: Mask

    @property
    def mean(self) -> float:
        return 2 * float(self.half.mean())


def bounds(minimum: float | None, maximum: float | None, training: Floats | None, held_out: Floats) -> Bounds:
    """The bounds in model.toml; if it has none, the range of the data widened.

    The range of the training data alone would cut off true values where the held-out data is of a later time: the
    interval would then hold fewer true values than were counted.
    """
    if minimum is not None or maximum is not None:
        return Bounds(minimum, maximum, "model")
    if training is None or not len(training):
        return Bounds(None, None, None)
    values = np.concatenate([training, held_out])
    low, high = float(values.min()), float(values.max())
    more = WIDENED * (high - low)
    return Bounds(low - more, high + more, "training")


def interval(errors: Floats, difficulty: Floats | None, limits: Bounds) -> Interval:
    """The interval from absolute errors on held-out rows and, if known, the difficulty of these rows.

    Raises Unsupported.
    """
    coverage = best_coverage(len(errors), INTERVAL_COVERAGES)
    constant = _crossed(errors, np.ones(len(errors)), coverage)
    sizes = np.ones(len(errors)) if difficulty is None else difficulty
    quantile = conformal_quantile(errors / sizes, coverage)
    if quantile is None:
        raise Unsupported(english("The errors on held-out rows are not all finite."))
    return Interval(
        coverage=coverage,
        quantile=quantile,
        method="constant" if difficulty is None else "difficulty",
        rows=len(errors),
        low=limits.low,
        high=limits.high,
        bounds_from=limits.bounds_from,
        mean_width=_crossed(errors, sizes, coverage).mean,
        constant_width=constant.mean,
        measured=measured(errors / sizes, coverage),
    )


def interval_evidence(errors: Floats, sizes: Floats, coverage: float) -> Evidence:
    """How many held-out values lie within an interval computed from the other folds."""
    covered = _crossed(errors, sizes, coverage).covered
    return Evidence(right=int(covered.sum()), of=len(covered))


def interval_score(errors: Floats, sizes: Floats, coverage: float) -> float:
    """The mean score of cross-validated intervals of these sizes; lower is better.

    The score of one interval is its width, plus 2 / alpha for each unit by which it misses the value, where alpha is
    1 - coverage: Gneiting & Raftery (2007), equation 43.
    """
    half = _crossed(errors, sizes, coverage).half
    return float((2 * half + 2 / (1 - coverage) * np.maximum(errors - half, 0.0)).mean())


def _crossed(errors: Floats, sizes: Floats, coverage: float) -> _Widths:
    half, scores = np.empty(len(errors)), errors / sizes
    for test in folds(np.zeros(len(errors))):
        limit = conformal_quantile(scores[~test], coverage)
        half[test] = math.inf if limit is None else limit * sizes[test]
    return _Widths(half, errors <= half)
