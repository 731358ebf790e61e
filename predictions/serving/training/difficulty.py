"""Predicts the size of a regression's error for a row, by a forest that is fitted to out-of-sample errors."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import KFold, cross_val_predict

from predictions.serving.compile import trees
from predictions.serving.compile.convert import OPSETS
from predictions.serving.engines.base import Floats
from predictions.serving.engines.onnx import open_session
from predictions.serving.engines.sureness import DIFFICULTY_INPUT, damped, difficulties
from predictions.serving.schema.sentences import english
from predictions.serving.training.calibrate import Unsupported
from predictions.serving.training.intervals import interval_score

# Few trees with few leaves. On the demo data they are as good as 200 deep trees, and they add little time.
TREES = 50
LEAVES = 8
ROWS_OF_A_LEAF = 20
LEAST_ROWS = 4 * ROWS_OF_A_LEAF
REFITS = 5
# At most this many training rows: more do not improve the forest, and the estimator is refitted on them five times.
MOST_ROWS = 10_000
COVERAGE = 0.9


@dataclass(frozen=True, slots=True)
class Difficulty:
    """The forest as ONNX, and the mean error. `of` averages each answer of the forest with the mean error."""

    content: bytes
    mean: float

    def of(self, points: Floats) -> Floats:
        return difficulties(open_session(self.content), points, self.mean)


def out_of_fold_errors(estimator: Any, x: Any, y: Any) -> tuple[np.ndarray[Any, Any], Floats]:
    """Positions of training rows, and the absolute errors of clones of the estimator that did not learn these rows.

    Raises what the estimator or its cloning raises.
    """
    random = np.random.default_rng(0)
    count = len(y)
    chosen = np.sort(random.permutation(count)[:MOST_ROWS])
    some_x = _take(x, chosen)
    some_y = np.asarray(y, dtype=np.float64).reshape(-1)[chosen]
    split = KFold(REFITS, shuffle=True, random_state=0)
    answers = np.asarray(cross_val_predict(clone(estimator), some_x, some_y, cv=split), dtype=np.float64)
    return chosen, np.abs(answers.reshape(-1) - some_y)


def _take(x: Any, rows: Any) -> Any:
    """Rows of a DataFrame, a scipy matrix, an array or a list."""
    if hasattr(x, "iloc"):
        return x.iloc[rows]
    return x.tocsr()[rows] if hasattr(x, "tocsr") else np.asarray(x)[rows]


def fit_difficulty(points: Floats, errors: Floats) -> Difficulty:
    """Fits the forest to points and the absolute errors there.

    Raises Unsupported unless cross-validated intervals that follow the forest score better than those of constant
    width. This decision uses the given errors alone: held-out rows that calibrate the intervals must not influence it.
    """
    if len(errors) < LEAST_ROWS:
        raise Unsupported(
            english("Only {rows} rows tell the difficulty; {needed} are needed.", rows=len(errors), needed=LEAST_ROWS)
        )
    mean = float(errors.mean())
    if not (math.isfinite(mean) and mean > 0):
        raise Unsupported(english("The errors on held-out rows are all 0, or not finite."))
    _check_worth(points, errors)
    types = [(DIFFICULTY_INPUT, DoubleTensorType([None, points.shape[1]]))]
    graph = trees.set_opset(convert_sklearn(_forest().fit(points, errors), initial_types=types, target_opset=OPSETS))
    return Difficulty(graph.SerializeToString(), mean)


def _check_worth(points: Floats, errors: Floats) -> None:
    split = KFold(REFITS, shuffle=True, random_state=0)
    sizes = damped(cross_val_predict(_forest(), points, errors, cv=split), float(errors.mean()))
    constant = interval_score(errors, np.ones(len(errors)), COVERAGE)
    varying = interval_score(errors, sizes, COVERAGE)
    if not varying < constant:
        raise Unsupported(
            english(
                "Widths that follow difficulty score {low}, constant ones {high}.",
                low=f"{varying:.4g}",
                high=f"{constant:.4g}",
            )
        )


def _forest() -> RandomForestRegressor:
    return RandomForestRegressor(
        TREES, max_leaf_nodes=LEAVES, min_samples_leaf=ROWS_OF_A_LEAF, random_state=0, n_jobs=1
    )
