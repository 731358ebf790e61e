"""The log loss of a version is that of the probabilities that people see."""

import numpy as np
import pytest

from predictions.serving.engines.base import Floats, RawPredictions
from predictions.serving.training.calibrate import calibrate
from predictions.serving.training.metrics import measure


def overconfident() -> tuple[Floats, Floats]:
    random = np.random.default_rng(0)
    odds = random.normal(size=600)
    stated = 1 / (1 + np.exp(-4 * odds))
    return np.column_stack([1 - stated, stated]), (random.uniform(size=600) < 1 / (1 + np.exp(-odds))).astype(float)


def test_log_loss_of_a_calibrated_version_is_the_cross_validated_one() -> None:
    shares, truth = overconfident()
    answers, calibration = RawPredictions(shares.argmax(axis=1).astype(float), shares), calibrate(shares, truth)

    own = measure(answers, truth, None, 2, None)
    shown = measure(answers, truth, None, 2, calibration)

    assert own["log_loss"] == pytest.approx(-np.log(shares[np.arange(600), truth.astype(int)]).mean())
    assert shown["log_loss"] == calibration.log_loss_after < own["log_loss"]
    assert {name: value for name, value in shown.items() if name != "log_loss"} == {
        name: value for name, value in own.items() if name != "log_loss"
    }
