"""Calibrates probabilities, if that improves cross-validated rows by more than chance."""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from sklearn.isotonic import IsotonicRegression

from predictions.serving.artifacts.sureness import Calibration, ClassMap
from predictions.serving.engines.base import Floats
from predictions.serving.engines.sureness import LEAST, calibrated, log_odds
from predictions.serving.schema.sentences import english

FOLDS = 10
ISOTONIC_ROWS = 1000
LEAST_ROWS_OF_A_CLASS = 10

Mask = npt.NDArray[np.bool_]


class Unsupported(ValueError):
    """The data does not support this part of the sureness record; the message says why."""


def calibrate(shares: Floats, truth: Floats) -> Calibration:
    """The best calibration for probabilities of shape [rows, classes] and true class positions.

    Raises Unsupported if a class has too few rows, or if the cross-validated log loss does not fall by more than one
    standard error of the difference.
    """
    fewest = int(np.bincount(truth.astype(int), minlength=shares.shape[1]).min())
    if fewest < LEAST_ROWS_OF_A_CLASS:
        raise Unsupported(
            english(
                "The smallest class has {rows} held-out rows; {needed} are needed.",
                rows=fewest,
                needed=LEAST_ROWS_OF_A_CLASS,
            )
        )
    methods = ("sigmoid", "isotonic") if len(truth) >= ISOTONIC_ROWS else ("sigmoid",)
    best = min((_tried(method, shares, truth) for method in methods), key=lambda tried: tried.log_loss_after)
    gain = best.log_loss_before - best.log_loss_after
    if not gain > best.standard_error:
        raise Unsupported(
            english(
                "The estimator's own probabilities are kept: log loss {low}, calibrated {high}, standard error"
                " {number}.",
                low=f"{best.log_loss_before:.4f}",
                high=f"{best.log_loss_after:.4f}",
                number=f"{best.standard_error:.4f}",
            )
        )
    return best


def folds(strata: Floats, count: int = FOLDS) -> Iterator[Mask]:
    """Masks of `count` random test folds that together hold each row once, each stratum spread evenly."""
    shuffled = np.random.default_rng(0).permutation(len(strata))
    number = np.empty(len(strata), dtype=int)
    number[shuffled[np.argsort(strata[shuffled], kind="stable")]] = np.arange(len(strata)) % count
    for fold in range(count):
        test = number == fold
        if test.any():
            yield test


def cross_calibrated(method: str, shares: Floats, truth: Floats) -> Floats:
    """The probabilities of each fold, calibrated by the other folds."""
    found = np.empty_like(shares)
    for test in folds(truth):
        trial = _calibration(method, _maps(method, shares[~test], truth[~test]))
        found[test] = calibrated(trial, shares[test])
    return found


def _tried(method: str, shares: Floats, truth: Floats) -> Calibration:
    before, after = _losses(shares, truth), _losses(cross_calibrated(method, shares, truth), truth)
    gains = before - after
    error = float(gains.std(ddof=1) / math.sqrt(len(gains)))
    found = _calibration(method, _maps(method, shares, truth))
    return found.model_copy(
        update={
            "rows": len(truth),
            "log_loss_before": float(before.mean()),
            "log_loss_after": float(after.mean()),
            "standard_error": error,
        }
    )


def _calibration(method: str, maps: list[ClassMap]) -> Calibration:
    return Calibration.model_validate(
        {"method": method, "maps": maps, "rows": 0, "log_loss_before": 0, "log_loss_after": 0, "standard_error": 0}
    )


def _losses(shares: Floats, truth: Floats) -> Floats:
    own = shares[np.arange(len(truth)), truth.astype(int)]
    return np.asarray(-np.log(np.clip(own, LEAST, 1.0)))


def _maps(method: str, shares: Floats, truth: Floats) -> list[ClassMap]:
    classes = [1] if shares.shape[1] == 2 else range(shares.shape[1])
    fit = _isotonic if method == "isotonic" else _sigmoid
    return [fit(shares[:, class_], truth == class_) for class_ in classes]


def _sigmoid(shares: Floats, hits: Mask) -> ClassMap:
    """Platt scaling on log-odds, with Platt's smoothed targets (1999), so that separable rows give a finite slope."""
    odds, positives = log_odds(shares), int(hits.sum())
    high, low = (positives + 1) / (positives + 2), 1 / (len(hits) - positives + 2)
    targets = np.where(hits, high, low)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        scores = parameters[0] * odds + parameters[1]
        errors = 1 / (1 + np.exp(-np.clip(scores, -500, 500))) - targets
        value = np.logaddexp(0, scores).mean() - (targets * scores).mean()
        return float(value), np.array([(errors * odds).mean(), errors.mean()])

    # A slope below 0 would reverse the order of the probabilities.
    found = minimize(loss, [1.0, 0.0], jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)])
    return ClassMap(slope=float(found.x[0]), intercept=float(found.x[1]))


def _isotonic(shares: Floats, hits: Mask) -> ClassMap:
    """Isotonic regression. Its values stay away from 0 and 1, which no finite number of rows could show."""
    margin = 1 / (2 * len(hits))
    fitted = IsotonicRegression(y_min=margin, y_max=1 - margin).fit(shares, hits.astype(np.float64))
    return ClassMap(x=fitted.X_thresholds_.tolist(), y=fitted.y_thresholds_.tolist())
