"""Coverage and gate over many random splits of the demo data: `python -m benchmarks.coverage [splits]`.

Classifiers: the mean coverage of each class on rows that were not used for calibration, with the range
[stated, stated + 1 / (n + 1)] in which it should lie.
Diabetes: coverage and mean width of the intervals, and the mean error in the narrowest and the widest third of them.
All: the share of rows that the gate reports as outside, for new rows, zeros, rows times ten and noise.
"""

import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import datasets
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from predictions.serving.artifacts.description import Target
from predictions.serving.artifacts.repository import describe
from predictions.serving.artifacts.sureness import Interval, Sets
from predictions.serving.engines.base import RawPredictions
from predictions.serving.engines.opening import read_assessor
from predictions.serving.engines.sureness import Assessor
from predictions.serving.schema.signature import Boolean, Choice, Integer, Value
from predictions.serving.training.conformal import in_sets
from predictions.serving.training.sureness import Facts, learn

MODELS = Path(__file__).resolve().parents[1] / "ml_models"
DATA: dict[str, tuple[Any, Any]] = {
    "breast-cancer": (
        lambda: datasets.load_breast_cancer(return_X_y=True),
        lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    ),
    "iris": (lambda: datasets.load_iris(return_X_y=True), LinearDiscriminantAnalysis),
    "wine": (
        lambda: datasets.load_wine(return_X_y=True),
        lambda: RandomForestClassifier(n_estimators=100, random_state=0),
    ),
    "diabetes": (
        lambda: datasets.load_diabetes(return_X_y=True, scaled=False),
        lambda: HistGradientBoostingRegressor(max_depth=2, learning_rate=0.05, max_iter=150, random_state=0),
    ),
}


def main() -> None:
    splits = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    for name in DATA:
        figures = ", ".join(f"{what} {value:.4g}" for what, value in mean_figures(name, splits).items())
        sys.stdout.write(f"{name}, {splits} splits: {figures}\n")
        sys.stdout.flush()


def mean_figures(name: str, splits: int) -> dict[str, float]:
    """The mean of each figure over `splits` random splits of one data set."""
    seen: dict[str, list[float]] = defaultdict(list)
    for seed in range(splits):
        for what, value in _split(name, seed).items():
            seen[what].append(value)
    return {what: float(np.mean(values)) for what, values in seen.items()}


def _split(name: str, seed: int) -> dict[str, float]:
    """Figures of one split: half of the rows train, a third calibrates, the rest is new."""
    load, make = DATA[name]
    x, y = load()
    description = describe(MODELS, name)
    is_classifier = description.task == "classification"
    x_train, x_rest, y_train, y_rest = train_test_split(
        x, y, train_size=0.5, random_state=seed, stratify=y if is_classifier else None
    )
    x_held, x_new, y_held, y_new = train_test_split(
        x_rest, y_rest, train_size=0.66, random_state=seed, stratify=y_rest if is_classifier else None
    )
    estimator = make().fit(x_train, y_train)
    classes = np.unique(y).tolist() if is_classifier else []
    learned = learn(_facts(description, estimator, classes, (x_train, y_train), (x_held, y_held)))
    assessor = read_assessor(learned.record, learned.content)
    assert assessor is not None  # training data was given
    found = _gate(description, assessor, x_new, x, np.random.default_rng(seed))
    if learned.record.sets:
        return found | _classes(learned.record.sets, estimator.predict_proba(x_new), y_new)
    if learned.record.interval:
        return found | _interval(learned.record.interval, assessor, description, estimator, x_new, y_new)
    return found


def _facts(description: Any, estimator: Any, classes: list[Any], training: Any, held_out: Any) -> Facts:
    shares = estimator.predict_proba(held_out[0]) if classes else None
    return Facts(
        signature=description.signature,
        target=Target(name="target"),
        labels=[str(class_) for class_ in classes],
        training=_rows(description, training[0]),
        training_truth=training[1].astype(float),
        training_data=training,
        held_out=_rows(description, held_out[0]),
        truth=held_out[1].astype(float),
        answers=RawPredictions(np.asarray(estimator.predict(held_out[0]), dtype=np.float64), shares),
        estimator=estimator,
    )


def _classes(sets: Sets, shares: Any, truth: Any) -> dict[str, float]:
    held = in_sets(shares, sets.thresholds)
    found = {"stated": sets.coverage}
    for class_, rows in enumerate(sets.rows):
        found[f"class {class_}"] = float(held[truth == class_, class_].mean())
        found[f"class {class_} at most"] = sets.coverage + 1 / (rows + 1)
    return found


def _interval(
    interval: Interval, assessor: Assessor, description: Any, estimator: Any, x: Any, y: Any
) -> dict[str, float]:
    errors = np.abs(estimator.predict(x) - y)
    sizes = assessor.assess(_rows(description, x)).difficulty
    sizes = np.ones(len(x)) if sizes is None else sizes
    thirds = np.array_split(errors[sizes.argsort()], 3)
    return {
        "coverage": float((errors <= interval.quantile * sizes).mean()),
        "width": 2 * float((interval.quantile * sizes).mean()),
        "constant width": interval.constant_width,
        "varying": float(interval.method == "difficulty"),
        "error of the narrowest third": float(thirds[0].mean()),
        "error of the widest third": float(thirds[2].mean()),
    }


def _gate(description: Any, assessor: Assessor, new: Any, x: Any, random: np.random.Generator) -> dict[str, float]:
    noise = random.normal(x.mean(axis=0), 10 * x.std(axis=0), size=(200, x.shape[1]))
    kinds = {"new": new, "zeros": np.zeros((1, x.shape[1])), "tenfold": new * 10, "noise": noise}
    return {
        f"{kind} outside": float(assessor.assess(_rows(description, rows)).outside.mean())
        for kind, rows in kinds.items()
    }


def _rows(description: Any, x: Any) -> list[list[Value]]:
    """Rows in the format of the signature. A value that is not among the choices becomes the first choice."""
    return [
        [_value(feature, value) for feature, value in zip(description.signature.features, row, strict=True)]
        for row in np.asarray(x).tolist()
    ]


def _value(feature: Any, value: float) -> Value:
    if isinstance(feature, Choice):
        return round(value) if round(value) in feature.values else feature.values[0]
    return round(value) if isinstance(feature, Integer | Boolean) else value


if __name__ == "__main__":
    main()
