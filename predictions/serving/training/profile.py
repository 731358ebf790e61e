"""The profile of the training data, and the choice of the golden rows, which a version must reproduce."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from predictions.serving.engines.base import RawPredictions
from predictions.serving.schema.signature import Boolean, Choice, Feature, Integer, Number, Signature, Value

GOLDEN_ROWS = 12
DECILES = [step / 10 for step in range(11)]
BINS = 20
BACKGROUND_ROWS = 50


def profile(rows: Sequence[Sequence[Value]], signature: Signature) -> dict[str, Any]:
    """The JSON that advice and drift read: `{"rows": n, "features": {name: …}}`.

    Every feature has `missing` (a share of rows). Numbers add minimum, maximum, mean, `deciles` (11 of
    them, both ends included) and `counts` of 20 bins of equal width; choices and booleans add `categories` as
    [value, count] pairs, commonest first.
    """
    columns = zip(*rows, strict=True)
    features = {
        feature.name: _column(feature, column) for feature, column in zip(signature.features, columns, strict=True)
    }
    return {"rows": len(rows), "features": features}


def background(rows: Sequence[Sequence[Value]], count: int = BACKGROUND_ROWS) -> list[list[Value]]:
    """A random sample of the rows, the same each time, in their order."""
    chosen = np.sort(np.random.default_rng(0).permutation(len(rows))[:count])
    return [list(rows[place]) for place in chosen]


def golden_positions(answers: RawPredictions, count: int = GOLDEN_ROWS) -> list[int]:
    """The positions of the golden rows, spread evenly over the answers: over all classes, and from low to high."""
    sure = np.zeros(len(answers.outputs)) if answers.probabilities is None else answers.probabilities.max(axis=1)
    order = np.lexsort((sure, *answers.outputs.reshape(len(sure), -1).T[::-1]))
    picked = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)
    return [int(order[place]) for place in picked]


def _column(feature: Feature, column: Sequence[Value]) -> dict[str, Any]:
    present = [value for value in column if value is not None]
    seen: dict[str, Any] = {"missing": 1 - len(present) / len(column)}
    if isinstance(feature, Number | Integer) and present:
        seen |= _numbers(np.array(present, dtype=np.float64))
    elif isinstance(feature, Choice | Boolean):
        seen["categories"] = [[value, count] for value, count in Counter(present).most_common()]
    return seen


def _numbers(values: npt.NDArray[np.float64]) -> dict[str, Any]:
    return {
        "minimum": float(values.min()),
        "maximum": float(values.max()),
        "mean": float(values.mean()),
        "deciles": np.quantile(values, DECILES).tolist(),
        "counts": np.histogram(values, bins=BINS)[0].tolist(),
    }
