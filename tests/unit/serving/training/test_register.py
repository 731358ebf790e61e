from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from predictions.serving.artifacts import repository
from predictions.serving.artifacts.description import Description
from predictions.serving.artifacts.manifest import Manifest
from predictions.serving.compile.equivalence import NotCompiled
from predictions.serving.engines.base import RawPredictions
from predictions.serving.engines.loader import Loader
from predictions.serving.registration import CannotRegister, Split
from predictions.serving.training import register as module
from predictions.serving.training.fresh_process import prove_in_fresh_process
from predictions.serving.training.profile import golden_positions, profile
from predictions.serving.training.register import register, train_and_register
from tests.support.loading import unproved
from tests.unit.serving import estimators


def test_register_describes_what_was_measured(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    assert repository.manifest(root, "fruit", 1) == manifest
    assert (manifest.classes, manifest.labels) == (["a", "b"], ["Apple", "Pear"])
    assert manifest.rows == {"training": 80, "held_out": 40}
    assert set(manifest.metrics) == {"accuracy", "balanced_accuracy", "baseline_accuracy", "log_loss", "roc_auc"}
    assert manifest.metrics["accuracy"] > manifest.metrics["baseline_accuracy"]
    assert set(manifest.golden.outputs) == {0.0, 1.0}
    sides = [row[0] for row in manifest.golden.rows]
    assert (min(sides), max(sides)) == (0.0, 400.0)  # the bounds of model.toml
    assert manifest.sureness is not None
    assert manifest.sureness.sets is not None
    assert (sum(manifest.sureness.sets.rows), manifest.sureness.sets.coverage) == (40, 0.8)
    assert manifest.libraries.keys() >= {"python", "scikit-learn", "numpy"}
    assert manifest.predict_ms > 0


def test_register_without_data_proves_itself_on_the_examples(
    root: Path, description: Description, data: tuple[Split, Split]
) -> None:
    estimator = LogisticRegression().fit(data[0].x, data[0].y)
    manifest = register(root, description, estimator, None, None)
    assert manifest.golden.rows[0] == [40.0, 90.0]
    assert (manifest.metrics, manifest.profile) == ({}, {})
    assert manifest.sureness is not None
    assert (manifest.sureness.sets, manifest.sureness.gate) == (None, None)
    assert manifest.sureness.notes.keys() == {"calibration", "sets", "gate"}


def test_register_data_outside_the_bounds_names_the_row(
    root: Path, description: Description, data: tuple[Split, Split]
) -> None:
    training, held_out = data
    estimator = LogisticRegression().fit(training.x, training.y)
    training = replace(training, x=training.x.copy())  # the data are shared by all tests
    training.x[6, 0] = 401
    with pytest.raises(CannotRegister, match=r"Row 7 of the training data .* long side: Must be at most 400 \(mm\)"):
        register(root, description, estimator, training, held_out)


def test_register_true_value_outside_the_bounds_of_the_target_names_the_row(
    root: Path, description: Description, data: tuple[Split, Split]
) -> None:
    """Intervals are clipped to the bounds, so a false bound would make them hold fewer true values than was counted."""
    target = description.target.model_copy(update={"labels": (), "minimum": 0.0, "maximum": 9.0})
    description = description.model_copy(update={"task": "regression", "target": target})
    x = data[0].x
    values = np.linspace(1.0, 8.0, len(x))
    estimator = LinearRegression().fit(x, values)
    with pytest.raises(CannotRegister, match=r"Row 2 of the held-out data: .* is 10, and its maximum is 9 in model"):
        register(root, description, estimator, Split(x, values), Split(x[:3], np.array([1.0, 10.0, 2.0])))
    with pytest.raises(CannotRegister, match=r"Row 1 of the training data: .* is -1, and its minimum is 0 in model"):
        register(root, description, estimator, Split(x, values - 2.0), None)


def test_register_measures_the_log_loss_of_calibrated_probabilities(
    root: Path, description: Description, data: tuple[Split, Split]
) -> None:
    estimator = LogisticRegression().fit(data[0].x, data[0].y)
    estimator.coef_ *= 20.0  # far too sure
    estimator.intercept_ *= 20.0
    manifest = register(root, description, estimator, *data, unproved)
    assert manifest.sureness is not None
    assert manifest.sureness.calibration is not None
    assert manifest.metrics["log_loss"] == manifest.sureness.calibration.log_loss_after


def test_register_measures_nothing_on_rows_of_the_training_data(
    root: Path, description: Description, data: tuple[Split, Split]
) -> None:
    estimator = LogisticRegression().fit(data[0].x, data[0].y)
    manifest = register(root, description, estimator, data[0], Split(data[0].x[:30], data[0].y[:30]), unproved)
    assert (manifest.metrics, manifest.rows) == ({}, {"training": 80, "held_out": 0})
    assert manifest.figures is not None
    assert (manifest.figures.confusion, manifest.figures.reliability) == ([], [])
    assert any("how good the version is was not measured" in remark for remark in manifest.remarks)


def test_compiled_version_is_compared_on_training_rows_too(
    root: Path, description: Description, data: tuple[Split, Split], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thresholds of an estimator come from its training data, which has more ties with them than other rows."""
    compared: list[list[object]] = []
    monkeypatch.setattr(module, "COMPARED_ROWS", 40)
    monkeypatch.setattr(module, "compile_estimator", lambda _, rows: compared.extend(rows) or _not_compiled())
    estimator = LogisticRegression().fit(data[0].x, data[0].y)
    register(root, description, estimator, data[0], Split(data[1].x[:2], data[1].y[:2]), unproved)
    training = data[0].x.tolist()
    assert len([row for row in compared if row in training]) == 40
    assert training[0] in compared
    assert training[-1] in compared


def _not_compiled() -> None:
    raise NotCompiled("This test only looks at the rows.")


def test_register_class_that_cannot_be_stored(root: Path, description: Description, data: tuple[Split, Split]) -> None:
    classes = np.where(data[0].y == "a", "a\0x", "b")
    with pytest.raises(CannotRegister, match=r"The class 'a\\x00x' has a character that cannot be stored"):
        register(
            root,
            description.model_copy(update={"target": description.target.model_copy(update={"labels": ()})}),
            LogisticRegression().fit(data[0].x, classes),
            replace(data[0], y=classes),
            None,
        )


def test_register_estimator_of_another_task(root: Path, description: Description, data: tuple[Split, Split]) -> None:
    with pytest.raises(CannotRegister, match=r'write task = "regression"\.$'):
        register(root, description, LinearRegression().fit(data[0].x, np.arange(80)), *data)


def test_register_estimator_of_another_width(root: Path, description: Description, data: tuple[Split, Split]) -> None:
    with pytest.raises(CannotRegister, match=r"takes 1 features, model\.toml describes 2"):
        register(root, description, LogisticRegression().fit(data[0].x[:, :1], data[0].y), *data)


def test_register_estimator_that_cannot_be_opened_stores_nothing(
    root: Path, description: Description, data: tuple[Split, Split]
) -> None:
    estimator = estimators.Explosive().fit(data[0].x, data[0].y)
    with pytest.raises(CannotRegister, match=r"A worker could not serve it: The estimator cannot be opened"):
        register(root, description, estimator, *data)
    assert repository.manifests(root, "fruit") == []


def test_register_measures_the_memory_of_a_version(
    root: Path, description: Description, data: tuple[Split, Split]
) -> None:
    manifest = register(root, description, estimators.Heavy().fit(data[0].x, data[0].y), *data)
    assert manifest.memory is not None
    assert estimators.HEAVY_BYTES <= manifest.memory.most <= 1.6 * estimators.HEAVY_BYTES
    assert Loader(root, 10**9).get("fruit", 1, manifest.sha256).size == manifest.memory.serving


def test_register_version_that_exceeds_the_budget_is_refused_with_its_size(
    root: Path, description: Description, data: tuple[Split, Split]
) -> None:
    prove = partial(prove_in_fresh_process, budget_bytes=32 * 1024**2)
    with pytest.raises(CannotRegister, match=r"It takes (4[89]|5\d|6\d) MB .* LOADER_MEGABYTES allows 32 MB"):
        register(root, description, estimators.Heavy().fit(data[0].x, data[0].y), *data, prove)
    assert repository.manifests(root, "fruit") == []


def test_train_and_register_without_train_py(root: Path) -> None:
    with pytest.raises(CannotRegister, match=r"train\.py is missing"):
        train_and_register(root, "fruit")


def test_train_and_register_class_of_train_py_is_refused(root: Path) -> None:
    (root / "fruit" / "train.py").write_text(
        "import numpy as np\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "from predictions.serving.registration import Split, TrainingData\n"
        "class Own(LogisticRegression): pass\n"
        "def train():\n"
        "    x, y = np.array([[1.0, 1.0], [9.0, 9.0]]), np.array(['a', 'b'])\n"
        "    return TrainingData(Own().fit(x, y), Split(x, y), Split(x, y))\n"
    )
    with pytest.raises(CannotRegister, match="must be importable"):
        train_and_register(root, "fruit")


def test_golden_positions_spread_over_all_classes() -> None:
    outputs = np.array([0.0] * 90 + [1.0] * 30)
    shares = np.linspace(0, 1, 120)
    answers = RawPredictions(outputs, np.column_stack([shares, 1 - shares]))
    chosen = golden_positions(answers, 8)
    assert len(set(chosen)) == 8
    assert {outputs[place] for place in chosen} == {0.0, 1.0}


def test_profile_tells_ranges_and_missing(description: Description) -> None:
    found = profile([[1.0, None], [3.0, 5.0]], description.signature)
    assert found["rows"] == 2
    assert found["features"]["weight"]["missing"] == 0.5
    assert (found["features"]["long side"]["minimum"], found["features"]["long side"]["mean"]) == (1.0, 2.0)
    assert len(found["features"]["long side"]["deciles"]) == 11
