"""The counts that registration makes for the model card agree with the metrics, and with each other."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from predictions.serving.artifacts import repository
from predictions.serving.artifacts.manifest import Manifest
from predictions.serving.engines.base import RawPredictions
from predictions.serving.engines.sklearn import SklearnEngine
from predictions.serving.engines.sureness import calibrated
from predictions.serving.schema.input_schema import Column, InputSchema
from predictions.serving.schema.signature import Signature
from predictions.serving.training.calibrate import calibrate, cross_calibrated
from predictions.serving.training.figures import HeldOut, counted, distribution, figures, importances

SIGNATURE = Signature.model_validate([{"kind": "number", "name": name} for name in ("used", "unused")])


class First:
    """An engine that answers with the first feature."""

    def predict(self, rows: Sequence[Sequence[Any]]) -> RawPredictions:
        return RawPredictions(np.array([float(row[0]) for row in rows]), None)


class Broken:
    def predict(self, rows: Sequence[Sequence[Any]]) -> RawPredictions:
        raise ValueError("no such combination")


def held_out() -> HeldOut:
    rows = [[float(number), None if number == 3 else float(-number)] for number in range(50)]
    answers = First().predict(rows)
    return HeldOut(rows, answers.outputs, answers)


@pytest.fixture(params=["iris", "wine", "breast-cancer"])
def classifier(trained_models: Path, request: pytest.FixtureRequest) -> Manifest:
    return repository.manifest(trained_models, request.param, 1)


def test_confusion_and_reliability_count_each_held_out_row(classifier: Manifest) -> None:
    figures, held = classifier.figures, classifier.rows["held_out"]

    assert figures
    right = round(classifier.metrics["accuracy"] * held)
    assert sum(map(sum, figures.confusion)) == held
    assert sum(figures.confusion[place][place] for place in range(len(classifier.classes))) == right
    assert (sum(one.of for one in figures.reliability), sum(one.right for one in figures.reliability)) == (held, right)
    assert all(one.low <= one.mean <= one.high for one in figures.reliability)
    assert figures.target is None


def test_reliability_judges_no_row_by_a_calibration_that_it_fitted() -> None:
    random = np.random.default_rng(5)
    stated = random.uniform(0.5, 1.0, size=1500)
    truth = (random.uniform(size=1500) > 0.3).astype(np.float64)
    shares = np.column_stack([1 - stated, stated])
    calibration = calibrate(shares, truth)
    answers = HeldOut([], truth, RawPredictions(np.ones(1500), shares))

    bins = counted(2, calibration, answers).reliability

    fitted = calibrated(calibration, shares)[:, 1]
    crossed = cross_calibrated(calibration.method, shares, truth)[:, 1]
    assert sum(one.mean * one.of for one in bins) / 1500 == pytest.approx(crossed.mean(), abs=1e-12)
    assert crossed.mean() != pytest.approx(fitted.mean(), abs=1e-12)


def test_distribution_of_targets_counts_each_training_row(trained_models: Path) -> None:
    manifest = repository.manifest(trained_models, "diabetes", 1)

    assert manifest.figures
    target = manifest.figures.target
    assert target
    assert sum(target.counts) == manifest.rows["training"]
    assert (target.percentiles[0], target.percentiles[-1]) == (target.minimum, target.maximum)
    assert target.percentiles == sorted(target.percentiles)
    errors = [abs(answer - true) for true, answer in manifest.figures.answers]
    assert np.mean(errors) == pytest.approx(manifest.metrics["mae"])


def test_background_is_a_sample_of_rows_that_the_signature_takes(classifier: Manifest) -> None:
    assert len(classifier.background) == min(50, classifier.rows["training"])
    assert [classifier.signature.clean(row) for row in classifier.background] == classifier.background


def test_histogram_of_a_feature_counts_each_row_that_has_it(classifier: Manifest) -> None:
    for seen in classifier.profile["features"].values():
        assert sum(seen["counts"]) == classifier.rows["training"]


def test_feature_that_is_not_used_has_no_importance() -> None:
    found = importances(First(), SIGNATURE, held_out(), is_classifier=False, takes_array=False)

    assert found["used"] > 1
    assert found["unused"] == 0


def test_importances_do_not_depend_on_the_form_of_the_rows() -> None:
    as_lists, as_array = (
        importances(First(), SIGNATURE, held_out(), is_classifier=False, takes_array=takes_array)
        for takes_array in (False, True)
    )

    assert as_array == as_lists


class FirstOf(SklearnEngine):
    """Predicts the first feature, and appends the type of the rows to the list `estimator`."""

    def predict(self, rows: Any) -> RawPredictions:
        self.estimator.append(type(rows))
        return First().predict(rows)


@pytest.mark.parametrize(("container", "form"), [("array", np.ndarray), ("frame", list)])
def test_rows_are_one_array_where_the_estimator_takes_one(container: Any, form: type) -> None:
    """With a list for each row, the time would not be enough to shuffle all features of a wide model."""
    forms: list[type] = []
    schema = InputSchema(container=container, columns=(Column(dtype="float64"),) * 2)

    found = figures(FirstOf(forms, SIGNATURE, [], schema), None, held_out())

    assert found.importances.keys() == {"used", "unused"}
    assert set(forms) == {form}


def test_estimator_that_fails_on_shuffled_rows_has_no_importances() -> None:
    """Shuffled rows may combine values that never occur together. The version is registered all the same."""
    assert importances(Broken(), SIGNATURE, held_out(), is_classifier=False, takes_array=False) == {}


def test_importance_that_is_no_number_is_left_out() -> None:
    """Shuffled values make rows to which an estimator may have no answer, as neighbours in a radius have none."""

    class NoneNear:
        def predict(self, rows: Sequence[Sequence[Any]]) -> RawPredictions:
            warnings.warn("no neighbours", stacklevel=1)
            return RawPredictions(np.array([np.nan if row[0] != -(row[1] or -3.0) else row[0] for row in rows]), None)

    found = importances(NoneNear(), SIGNATURE, held_out(), is_classifier=False, takes_array=False)
    assert found == {}


def test_distribution_of_one_value_is_counted() -> None:
    found = distribution(np.array([3.0, 3.0]))

    assert (sum(found.counts), found.percentiles[50]) == (2, 3.0)
