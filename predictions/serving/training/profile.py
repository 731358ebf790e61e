"""What the training data looked like, which rows a version must reproduce, and how sure its answers are."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from predictions.serving.artifacts.repository import Conformal
from predictions.serving.engines.base import Floats, RawPredictions
from predictions.serving.schema.signature import Boolean, Choice, Feature, Integer, Number, Signature, Value

COVERAGE = 0.9
GOLDEN_ROWS = 12
DECILES = [step / 10 for step in range(11)]


def profile(rows: Sequence[Sequence[Value]], signature: Signature) -> dict[str, Any]:
    """The JSON that advice and drift read: `{"rows": n, "features": {name: …}}`.

    Every feature has `missing` (a share of rows). Numbers add minimum, maximum, mean and `deciles` (11 of
    them, both ends included), choices and booleans `categories` as [value, count] pairs, commonest first.
    """
    columns = zip(*rows, strict=True)
    features = {
        feature.name: _column(feature, column) for feature, column in zip(signature.features, columns, strict=True)
    }
    return {"rows": len(rows), "features": features}


def golden_positions(answers: RawPredictions, count: int = GOLDEN_ROWS) -> list[int]:
    """Which rows to keep as golden: spread evenly over the answers, from class to class and low to high."""
    sure = np.zeros(len(answers.outputs)) if answers.probabilities is None else answers.probabilities.max(axis=1)
    order = np.lexsort((sure, answers.outputs))
    picked = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)
    return [int(order[place]) for place in picked]


def calibrate(answers: RawPredictions, truth: Floats, coverage: float = COVERAGE) -> Conformal | None:
    """Split conformal calibration from answers to rows that the estimator was not fitted on.

    `truth` holds class positions or numbers. A classifier must give probabilities. None when there are too few rows for
    the coverage.
    """
    given = answers.probabilities
    scores = _residuals(answers, truth) if given is None else _lac_scores(given, truth)
    quantile = conformal_quantile(scores, coverage)
    if quantile is None:
        return None
    return Conformal(
        coverage=coverage,
        quantile=quantile,
        method="absolute_residual" if given is None else "lac",
        rows=len(scores),
        measured=_measured(scores, coverage),
    )


def conformal_quantile(scores: Floats, coverage: float) -> float | None:
    """The ceil((n + 1) * coverage)-th smallest score, or None when n is too small for it to exist.

    A new row from the same source has a score of at most this with probability >= coverage, whatever the estimator:
    Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World (2005); Angelopoulos & Bates (2021),
    arXiv:2107.07511, section 1 (scores of LAC: Sadinle, Lei & Wasserman, 2019).
    """
    # The rounding takes off what binary fractions add: 0.9 * 10 must not count as a little more than 9.
    rank = math.ceil(round((len(scores) + 1) * coverage, 9))
    if rank > len(scores) or not np.isfinite(scores).all():
        return None
    return float(np.sort(scores)[rank - 1])


def _lac_scores(probabilities: Floats, truth: Floats) -> Floats:
    shares: Floats = probabilities[np.arange(len(truth)), truth.astype(int)]
    return 1.0 - shares


def _residuals(answers: RawPredictions, truth: Floats) -> Floats:
    return np.abs(answers.outputs - truth)


def _measured(scores: Floats, coverage: float) -> float | None:
    """Coverage seen on each half of the rows when the other half calibrates, on average."""
    shuffled = np.random.default_rng(0).permutation(scores)
    halves = shuffled[::2], shuffled[1::2]
    seen = [
        float((there <= limit).mean())
        for here, there in (halves, halves[::-1])
        if len(there) and (limit := conformal_quantile(here, coverage)) is not None
    ]
    return sum(seen) / len(seen) if seen else None


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
    }
