import numpy as np
import pytest

from predictions.serving.engines.base import Floats
from predictions.serving.engines.sureness import calibrated
from predictions.serving.training.calibrate import Unsupported, calibrate, folds


def overconfident(rows: int, seed: int = 0) -> tuple[Floats, Floats, Floats]:
    """Stated probabilities with log-odds three times as large as the true ones, classes, and the true probabilities."""
    random = np.random.default_rng(seed)
    odds = random.normal(scale=1.0, size=rows)
    true = 1 / (1 + np.exp(-odds))
    stated = 1 / (1 + np.exp(-3 * odds))
    return np.column_stack([1 - stated, stated]), (random.uniform(size=rows) < true).astype(np.float64), true


@pytest.mark.parametrize("rows", [300, 3000])
def test_calibrate_mends_overconfidence(rows: int) -> None:
    shares, truth, true = overconfident(rows)
    found = calibrate(shares, truth)
    assert found.log_loss_after < found.log_loss_before - found.standard_error
    mended = calibrated(found, shares)
    assert np.abs(mended[:, 1] - true).mean() < np.abs(shares[:, 1] - true).mean() / 2
    assert mended.sum(axis=1) == pytest.approx(1.0)


def test_calibrate_of_few_rows_is_a_sigmoid() -> None:
    assert calibrate(*overconfident(999)[:2]).method == "sigmoid"


def test_calibrate_follows_a_shape_that_no_sigmoid_has() -> None:
    random = np.random.default_rng(1)
    stated = random.uniform(size=3000)
    true = np.where(stated < 0.5, 0.1, 0.6)
    truth = (random.uniform(size=3000) < true).astype(np.float64)
    found = calibrate(np.column_stack([1 - stated, stated]), truth)
    assert found.method == "isotonic"
    assert np.abs(calibrated(found, np.array([[0.8, 0.2], [0.2, 0.8]]))[:, 1] - [0.1, 0.6]).max() < 0.06


def test_calibrate_keeps_probabilities_that_are_right() -> None:
    shares, truth, true = overconfident(400)
    with pytest.raises(Unsupported, match="own probabilities are kept"):
        calibrate(np.column_stack([1 - true, true]), truth)
    assert shares.shape == (400, 2)


def test_calibrate_needs_rows_of_each_class() -> None:
    with pytest.raises(Unsupported, match="smallest class has 0 held-out rows; 10 are needed"):
        calibrate(np.full((50, 2), 0.5), np.zeros(50))


def test_calibrate_several_classes_gives_rows_that_add_up() -> None:
    random = np.random.default_rng(4)
    true = random.dirichlet([1, 1, 1], size=600)
    truth = np.array([random.choice(3, p=row) for row in true], dtype=np.float64)
    sharp = true**3 / (true**3).sum(axis=1, keepdims=True)
    found = calibrate(sharp, truth)
    mended = calibrated(found, sharp)
    assert len(found.maps) == 3
    assert mended.sum(axis=1) == pytest.approx(1.0)
    assert np.abs(mended - true).mean() < np.abs(sharp - true).mean()


def test_calibrated_row_alone_equals_the_row_in_company() -> None:
    shares, truth, _ = overconfident(1500)
    found = calibrate(shares, truth)
    together = calibrated(found, shares)
    alone = np.vstack([calibrated(found, shares[place : place + 1]) for place in range(50)])
    assert alone == pytest.approx(together[:50], abs=1e-12)


@pytest.mark.parametrize("rows", [1, 3, 10, 57])
def test_folds_hold_each_row_once(rows: int) -> None:
    counted = np.sum([test.astype(int) for test in folds(np.zeros(rows))], axis=0)
    assert counted.tolist() == [1] * rows
