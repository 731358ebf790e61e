"""Metrics of an estimator on held-out rows, and those of a constant answer as the baseline."""

import math

import numpy as np
from sklearn import metrics as scored

from predictions.serving.artifacts.sureness import Calibration
from predictions.serving.engines.base import Floats, RawPredictions


def measure(
    answers: RawPredictions,
    truth: Floats,
    training_truth: Floats | None,
    classes: int,
    calibration: Calibration | None,
) -> dict[str, float]:
    """Metrics by name, finite ones only. `truth` holds class positions, or numbers if `classes` is 0.

    The baseline is the best constant answer that the training targets suggest: their commonest class or their mean. The
    log loss is that of the probabilities which people see: calibrated, each row by the calibration of other rows.
    """
    guess_from = truth if training_truth is None else training_truth
    found = _classification(answers, truth, guess_from, classes) if classes else _regression(answers, truth, guess_from)
    if calibration is not None:
        found["log_loss"] = calibration.log_loss_after
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def _regression(answers: RawPredictions, truth: Floats, guess_from: Floats) -> dict[str, float]:
    mean = np.full_like(truth, guess_from.mean())
    return {
        "r2": scored.r2_score(truth, answers.outputs) if len(truth) > 1 else math.nan,
        "mae": scored.mean_absolute_error(truth, answers.outputs),
        "rmse": scored.root_mean_squared_error(truth, answers.outputs),
        "baseline_mae": scored.mean_absolute_error(truth, mean),
        "baseline_rmse": scored.root_mean_squared_error(truth, mean),
    }


def _classification(answers: RawPredictions, truth: Floats, guess_from: Floats, classes: int) -> dict[str, float]:
    common = np.bincount(guess_from.astype(int), minlength=classes).argmax()
    found = {
        "accuracy": scored.accuracy_score(truth, answers.outputs),
        "balanced_accuracy": scored.recall_score(
            truth, answers.outputs, labels=np.unique(truth), average="macro", zero_division=0
        ),
        "baseline_accuracy": float((truth == common).mean()),
    }
    if answers.probabilities is None:
        return found
    found["log_loss"] = scored.log_loss(truth, answers.probabilities, labels=np.arange(classes))
    if len(np.unique(truth)) == classes > 1:  # ROC AUC needs a row of every class
        scores = answers.probabilities[:, 1] if classes == 2 else answers.probabilities
        found["roc_auc"] = scored.roc_auc_score(truth, scores, multi_class="ovr", average="macro")
    return found
