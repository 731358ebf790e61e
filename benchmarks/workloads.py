"""The workloads: three estimators of very different cost, and rows with known answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
from sklearn.base import is_classifier
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from predictions.serving.artifacts import repository
from predictions.serving.registration import Split, TrainingData
from predictions.serving.training import register

ROWS = 256
TOLERANCE = 1e-6

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Kind:
    """A description of a workload, its estimator and its data set."""

    text: str
    estimator: Callable[[], Any]
    data: Callable[..., Any]


KINDS = {
    "lr": Kind(
        "StandardScaler and LogisticRegression, 30 numbers: almost no computation",
        lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        load_breast_cancer,
    ),
    "rf": Kind(
        "RandomForestClassifier of 300 trees, 30 numbers: expensive for one row, little more for many",
        lambda: RandomForestClassifier(n_estimators=300, n_jobs=1, random_state=0),
        load_breast_cancer,
    ),
    "hgb": Kind(
        "HistGradientBoostingRegressor, 10 numbers: compiled code with its own threads",
        lambda: HistGradientBoostingRegressor(random_state=0),
        load_diabetes,
    ),
}


@dataclass(frozen=True)
class Workload:
    """`expected` holds for each row the prediction, then the probabilities if the estimator gives them."""

    name: str
    rows: Sequence[Sequence[float]]
    expected: Sequence[Numbers]

    def is_right(self, place: int, answer: Numbers) -> bool:
        """True if all numbers of an answer equal those of the estimator. An answer may omit the probabilities."""
        known = self.expected[place]
        return 0 < len(answer) <= len(known) and all(
            abs(number - right) <= TOLERANCE for number, right in zip(answer, known, strict=False)
        )


def build(name: str, artefacts: Path, models: Path) -> Workload:
    """Train an estimator, write it to `<artefacts>/<name>.joblib`, and register it as a model in `models`."""
    kind = KINDS[name]
    x, y = kind.data(return_X_y=True)
    x_seen, x_held_out, y_seen, y_held_out = train_test_split(x, y, test_size=0.3, random_state=0)
    estimator = kind.estimator().fit(x_seen, y_seen)
    joblib.dump(estimator, artefacts / f"{name}.joblib")
    data = TrainingData(estimator, Split(x_seen, y_seen), Split(x_held_out, y_held_out))
    _register(models, name, data)
    rows = x[:ROWS]
    answers = [(float(number),) for number in estimator.predict(rows)]
    if is_classifier(estimator):
        shares = estimator.predict_proba(rows).tolist()
        answers = [(*answer, *share) for answer, share in zip(answers, shares, strict=True)]
    return Workload(name, rows.tolist(), answers)


def _register(models: Path, name: str, data: TrainingData) -> None:
    folder = models / name
    folder.mkdir(parents=True)
    (folder / repository.DESCRIPTION).write_text(_description(name, data))
    description = repository.describe(models, name)
    register.register(models, description, data.estimator, data.training, data.held_out)


def _description(name: str, data: TrainingData) -> str:
    """The text of a model.toml: number features without bounds, and classes without labels."""
    task = "classification" if is_classifier(data.estimator) else "regression"
    head = (
        f'title = "{name}"\nsummary = "A workload of the benchmarks."\ntask = "{task}"\n\n[target]\nname = "target"\n'
    )
    features = [
        f'\n[[features]]\nkind = "number"\nname = "f{place}"\nlabel = "Number {place}"\n'
        for place in range(data.training.x.shape[1])
    ]
    return head + "".join(features)
