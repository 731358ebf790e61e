"""The log-odds of a linear classifier as an intercept and a coefficient for each feature.

With them a worker explains an answer of a compiled version without importing scikit-learn, which takes seconds.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from predictions.serving.engines.base import Floats, is_numeric
from predictions.serving.engines.linear import gives_log_odds
from predictions.serving.engines.sklearn import SklearnEngine
from predictions.serving.engines.table import build_table
from predictions.serving.schema.signature import Value

# The coefficients are kept only if they reproduce the log-odds of all rows with this relative error at most.
AGREES = 1e-9


def linear_log_odds(engine: SklearnEngine, rows: Sequence[list[Value]]) -> list[float] | None:
    """The intercept, then the coefficients in signature order; None if the log-odds are not linear in the features.

    Steps such as a scaler are included, since the coefficients are found by changing one feature at a time.
    """
    numbers = [value for row in rows for value in row]
    if len(engine.classes) != 2 or not rows or None in numbers or not gives_log_odds(engine.estimator):
        return None
    if not all(map(is_numeric, engine.signature.features)):
        return None
    table = np.array(rows, dtype=np.float64)
    if not np.ptp(table, axis=0).all():  # a feature that never changes has no known coefficient
        return None
    found = _fitted(engine, table)
    known = _asked(engine, table)
    size = 1 + np.abs(known) + np.abs(table) @ np.abs(found[1:])
    agrees = (np.abs(found[0] + table @ found[1:] - known) <= AGREES * size).all()
    return found.tolist() if agrees else None


def _fitted(engine: SklearnEngine, table: Floats) -> Floats:
    """The coefficients from the first row and its copies, each with one feature at the further end of its range."""
    base, low, high = table[0], table.min(axis=0), table.max(axis=0)
    other = np.where(high - base > base - low, high, low)
    answers = _asked(engine, np.vstack([base, np.where(np.eye(len(base), dtype=bool), other, base)]))
    coefficients = (answers[1:] - answers[0]) / (other - base)
    return np.array([answers[0] - base @ coefficients, *coefficients])


def _asked(engine: SklearnEngine, table: Floats) -> Floats:
    estimator: Any = engine.estimator
    return np.asarray(estimator.decision_function(build_table(table.tolist(), engine.schema)), dtype=np.float64)
