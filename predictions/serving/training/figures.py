"""Computes the figures that pages draw: the target's distribution, confusion, reliability, residuals, importances."""

import logging
import math
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from predictions.serving.artifacts.figures import Distribution, Figures, ReliabilityBin
from predictions.serving.artifacts.sureness import Calibration
from predictions.serving.engines.base import Engine, Floats, RawPredictions
from predictions.serving.engines.sklearn import SklearnEngine
from predictions.serving.schema.signature import Signature, Value
from predictions.serving.training.calibrate import cross_calibrated

logger = logging.getLogger(__name__)

BINS = 24
RELIABILITY_BINS = 10
POINTS = 500
# Shuffles of each feature, and rows of each shuffle: enough to rank features, and a second of work.
SHUFFLES = 5
IMPORTANCE_ROWS = 500
IMPORTANCE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Held-out rows with their truths (class positions or numbers) and the answers to them."""

    rows: Sequence[Sequence[Value]]
    truth: Floats
    answers: RawPredictions


def figures(engine: SklearnEngine, calibration: Calibration | None, held_out: HeldOut) -> Figures:
    classes, takes_array = len(engine.classes), engine.schema.is_plain
    shares = importances(engine, engine.signature, held_out, is_classifier=bool(classes), takes_array=takes_array)
    return counted(classes, calibration, held_out).model_copy(update={"importances": shares})


def counted(classes: int, calibration: Calibration | None, held_out: HeldOut) -> Figures:
    """The figures that need the held-out answers alone, without the estimator."""
    if not classes:
        return Figures(answers=_points(held_out))
    return Figures(confusion=confusion(held_out, classes), reliability=reliability(held_out, calibration))


def distribution(values: Floats) -> Distribution:
    """The histogram and percentiles of finite numbers, at least one."""
    counts, edges = np.histogram(values, bins=BINS)
    return Distribution(
        minimum=float(edges[0]),
        maximum=float(edges[-1]),
        counts=counts.tolist(),
        percentiles=np.percentile(values, np.arange(101)).tolist(),
    )


def confusion(held_out: HeldOut, classes: int) -> list[list[int]]:
    table = np.zeros((classes, classes), dtype=int)
    known = held_out.answers.outputs >= 0
    pairs = held_out.truth[known].astype(int), held_out.answers.outputs[known].astype(int)
    np.add.at(table, pairs, 1)
    counts: list[list[int]] = table.tolist()
    return counts


def reliability(held_out: HeldOut, calibration: Calibration | None) -> list[ReliabilityBin]:
    """Held-out rows in bins of equal width, by the probability of their answer. Empty bins are left out.

    A calibrated version shows each row by the calibration of the other folds: no row is judged by a map that it fitted.
    """
    shares = held_out.answers.probabilities
    if shares is None:
        return []
    if calibration is not None:
        shares = cross_calibrated(calibration.method, shares, held_out.truth)
    answered = held_out.answers.outputs.astype(int)
    sure = shares[np.arange(len(shares)), answered]
    right = answered == held_out.truth
    edges = np.linspace(0.0, 1.0, RELIABILITY_BINS + 1)
    places = np.clip(np.searchsorted(edges, sure, side="right") - 1, 0, RELIABILITY_BINS - 1)
    return [
        ReliabilityBin(
            low=float(edges[place]),
            high=float(edges[place + 1]),
            mean=float(sure[places == place].mean()),
            right=int(right[places == place].sum()),
            of=int((places == place).sum()),
        )
        for place in np.unique(places).tolist()
    ]


def importances(
    engine: Engine, signature: Signature, held_out: HeldOut, *, is_classifier: bool, takes_array: bool
) -> dict[str, float]:
    """Permutation importance (Breiman 2001, section 10) of each feature; fewer features if they take too long or if the
    answers to shuffled rows are no numbers, and none if the estimator fails on the shuffled rows.

    With `takes_array` the engine gets the rows as one array of float64, which is much quicker for many features.
    """
    random = np.random.default_rng(0)
    chosen = np.sort(random.permutation(len(held_out.rows))[:IMPORTANCE_ROWS])
    truth = held_out.truth[chosen]
    rows = np.array([held_out.rows[place] for place in chosen], dtype=np.float64 if takes_array else object)
    usual = _loss(held_out.answers.outputs[chosen], truth, is_classifier=is_classifier)
    until = time.monotonic() + IMPORTANCE_SECONDS
    found: dict[str, float] = {}
    for column, name in enumerate(signature.names):
        if time.monotonic() > until:
            break
        shuffled = _shuffled(rows, column, random)
        asked: Any = shuffled if takes_array else shuffled.tolist()
        try:
            answers = _quietly(engine, asked).reshape(SHUFFLES, -1)
        except MemoryError:
            raise
        except Exception as error:  # an estimator may raise anything
            logger.warning("importances could not be computed", exc_info=error)
            return {}
        losses = [_loss(one, truth, is_classifier=is_classifier) for one in answers]
        found[name] = float(np.mean(losses)) - usual
    return {name: loss for name, loss in found.items() if math.isfinite(loss)}


def _quietly(engine: Engine, rows: Any) -> Floats:
    """The answers, without the warnings of the estimator: shuffled values make rows that are unlike all others."""
    with warnings.catch_warnings(action="ignore"):
        return engine.predict(rows).outputs


def _shuffled(rows: npt.NDArray[Any], column: int, random: np.random.Generator) -> npt.NDArray[Any]:
    """`SHUFFLES` copies of the rows, one after another, each with this column in another order."""
    copies = np.tile(rows, (SHUFFLES, 1))
    copies[:, column] = np.concatenate([rows[random.permutation(len(rows)), column] for _ in range(SHUFFLES)])
    return copies


def _loss(answers: Floats, truth: Floats, *, is_classifier: bool) -> float:
    return float((answers != truth).mean() if is_classifier else np.abs(answers - truth).mean())


def _points(held_out: HeldOut) -> list[tuple[float, float]]:
    chosen = np.sort(np.random.default_rng(0).permutation(len(held_out.truth))[:POINTS])
    return list(zip(held_out.truth[chosen].tolist(), held_out.answers.outputs[chosen].tolist(), strict=True))
