"""Rows in, one outcome per row out, in the shape that users see."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from predictions.serving.artifacts.repository import Manifest
from predictions.serving.engines.base import RawPredictions
from predictions.serving.engines.opening import Loaded
from predictions.serving.schema.errors import ForetellError, ModelFailure
from predictions.serving.schema.signature import Value

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to one row, or why there is none: exactly one of the two is set."""

    output: dict[str, Any] | None
    error: ForetellError | None


def predict(loaded: Loaded, rows: Sequence[Sequence[Value]]) -> list[Outcome]:
    """One outcome per row, in order, from one vectorised call.

    Rows are cleaned values in signature order. If the call raises, the rows are tried one by one, so that a bad row
    fails alone. MemoryError and our own errors (a time limit, say) concern all rows and are raised.
    """
    if not rows:
        return []
    try:
        return _outcomes(loaded, rows)
    except (MemoryError, ForetellError):
        raise
    except Exception as error:  # noqa: BLE001  # an estimator may raise anything
        if len(rows) == 1:
            return [_failure(loaded.manifest, error)]
        logger.info("%s: a call of %d rows failed, trying them one by one", _called(loaded.manifest), len(rows))
    return [outcome for row in rows for outcome in predict(loaded, [row])]


def _outcomes(loaded: Loaded, rows: Sequence[Sequence[Value]]) -> list[Outcome]:
    answers = loaded.engine.predict(rows)
    outputs = _classes(loaded.manifest, answers) if loaded.manifest.classes else _numbers(loaded.manifest, answers)
    return [_outcome(loaded.manifest, output) for output in outputs]


def _outcome(manifest: Manifest, output: dict[str, Any] | None) -> Outcome:
    if output is None:
        logger.warning("%s: an answer is not finite or not one of its classes", _called(manifest))
        return Outcome(None, ModelFailure("not finite, or an unknown class"))
    return Outcome(output, None)


def _numbers(manifest: Manifest, answers: RawPredictions) -> list[dict[str, Any] | None]:
    conformal = manifest.conformal
    return [
        {
            "kind": "regression",
            "value": value,
            "unit": manifest.unit,
            "interval": [value - conformal.quantile, value + conformal.quantile] if conformal else None,
            "coverage": conformal.coverage if conformal else None,
        }
        if math.isfinite(value)
        else None
        for value in answers.outputs.tolist()
    ]


def _classes(manifest: Manifest, answers: RawPredictions) -> list[dict[str, Any] | None]:
    positions = [int(position) for position in answers.outputs.tolist()]
    if answers.probabilities is None:
        return [_classified(manifest, position, None) for position in positions]
    return [
        _classified(manifest, position, row)
        for position, row in zip(positions, answers.probabilities.tolist(), strict=True)
    ]


def _classified(manifest: Manifest, position: int, row: list[float] | None) -> dict[str, Any] | None:
    if position < 0 or (row is not None and not all(map(math.isfinite, row))):
        return None
    labels = manifest.labels
    certain = manifest.conformal if row is not None else None
    return {
        "kind": "classification",
        "label": labels[position],
        "probabilities": dict(zip(labels, row, strict=True)) if row is not None else None,
        "prediction_set": _not_ruled_out(labels, position, row, certain.quantile) if row and certain else None,
        "coverage": certain.coverage if certain else None,
    }


def _not_ruled_out(labels: list[str], position: int, row: list[float], quantile: float) -> list[str]:
    """The LAC prediction set, likeliest first. The label itself is always in it: that can only raise the coverage,
    and a set without the answer beside it would make no sense to anyone."""
    kept = [place for place, share in enumerate(row) if place == position or 1.0 - share <= quantile]
    return [labels[place] for place in sorted(kept, key=lambda place: -row[place])]


def _failure(manifest: Manifest, error: Exception) -> Outcome:
    # What the estimator says may quote values or paths: it goes to the log and not into the outcome.
    logger.warning("%s: the estimator failed on a row", _called(manifest), exc_info=error)
    return Outcome(None, ModelFailure(type(error).__name__))


def _called(manifest: Manifest) -> str:
    return f"{manifest.model} version {manifest.version}"
