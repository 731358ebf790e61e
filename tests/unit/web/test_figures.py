"""The quality of a version on pages: a share is never shown without its number of cases."""

from typing import Any

import pytest

from predictions.models import ModelVersion, RegisteredModel
from predictions.web.figures import VersionPresenter
from predictions.web.formatting import wilson_interval
from predictions.web.versions import VersionLine


def headline(accuracy: float, held_out: int) -> Any:
    manifest = {
        "task": "classification",
        "target": {"name": "species"},
        "metrics": {"accuracy": accuracy},
        "rows": {"training": 100, "held_out": held_out},
    }
    return VersionPresenter(ModelVersion(number=1, manifest=manifest)).headline


def test_accuracy_is_counted_with_its_interval() -> None:
    assert headline(1.0, 45) == {"value": "45 of 45", "label": "right on data it had not seen (92\u2013100 %)"}
    assert headline(0.959, 171) == {"value": "164 of 171", "label": "right on data it had not seen (92\u201398 %)"}


def test_table_of_metrics_counts_right_answers() -> None:
    manifest = {
        "task": "classification",
        "target": {"name": "species"},
        "metrics": {"accuracy": 1.0, "baseline_accuracy": 1 / 3},
        "rows": {"training": 100, "held_out": 45},
    }

    rows = VersionPresenter(ModelVersion(number=1, manifest=manifest)).metrics_rows

    assert [row["value"] for row in rows] == ["45 of 45 (92–100 %)", "15 of 45 (21–48 %)"]  # noqa: RUF001


def test_mean_over_classes_names_their_counts() -> None:
    manifest = {
        "task": "classification",
        "target": {"name": "species"},
        "metrics": {"balanced_accuracy": 1.0},
        "rows": {"training": 100, "held_out": 45},
        "figures": {"confusion": [[15, 0], [0, 30]]},
    }

    (row,) = VersionPresenter(ModelVersion(number=1, manifest=manifest)).metrics_rows

    said = "15 of 15 (80–100 %), 30 of 30 (89–100 %)"  # noqa: RUF001
    assert (row["value"], row["help"]) == ("100 %", f"balanced accuracy, the mean of {said}")


def test_only_a_perfect_metric_is_shown_as_perfect() -> None:
    for metrics, values in (
        ({"balanced_accuracy": 0.998, "roc_auc": 0.99998, "r2": 0.99996}, ["> 99 %", "> 0.9999", "> 0.9999"]),
        ({"balanced_accuracy": 1.0, "roc_auc": 1.0, "r2": 1.0}, ["100 %", "1", "1"]),
    ):
        version = ModelVersion(number=1, manifest={"metrics": metrics})
        assert [row["value"] for row in VersionPresenter(version).metrics_rows] == values


def test_python_stands_before_the_other_libraries_however_they_are_stored() -> None:
    libraries = {"onnx": "1.19", "numpy": "2.3", "scipy": "1.16", "python": "3.13", "scikit-learn": "1.7"}
    version = ModelVersion(number=1, manifest={"metrics": {}, "bytes": 1, "libraries": libraries})
    version.registered_model = RegisteredModel(name="fruit")

    assert VersionLine(version).libraries == ["python 3.13", "numpy 2.3", "onnx 1.19", "scikit-learn 1.7"]


def test_task_without_true_answers_has_no_headline() -> None:
    manifest = {"task": "clusters", "target": {"name": "y"}, "metrics": {}}

    assert VersionPresenter(ModelVersion(number=1, manifest=manifest)).headline is None


@pytest.mark.parametrize(
    ("right", "of", "low", "high"), [(45, 45, 0.9213, 1.0), (0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634)]
)
def test_wilson_interval(right: int, of: int, low: float, high: float) -> None:
    assert wilson_interval(right, of) == pytest.approx((low, high), abs=5e-5)
