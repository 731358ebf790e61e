"""The right answers: the models answer 2x + 1, and x is different for each row, unless a submission says another."""

import json
import math
from dataclasses import dataclass
from typing import Any

from tests.worker.estimators import ABORT, CRASH, EXHAUST, HANG, RAISE

# The error codes of values that crash, hang or fail the estimator. All other values are answered.
ERRORS = {RAISE: "model_error", CRASH: "worker_lost", ABORT: "worker_lost", EXHAUST: "worker_lost", HANG: "timeout"}
# Above the special values of the estimator.
FIRST_NUMBER = 2_000_000


@dataclass(frozen=True)
class Outcome:
    """The value of a prediction, or its error code."""

    value: float | None
    error_code: str = ""

    def matches(self, other: "Outcome") -> bool:
        """Whether both are the same, to the rounding of a compiled estimator."""
        if self.value is None or other.value is None:
            return self == other
        return math.isclose(self.value, other.value, rel_tol=1e-6, abs_tol=1e-9)


def expected(x: float) -> Outcome:
    return Outcome(None, ERRORS[x]) if x in ERRORS else Outcome(2 * x + 1)


def outcome_of(output: Any, error_code: str) -> Outcome:
    """The outcome in columns of the database. SQLite stores JSON as text."""
    parsed = json.loads(output) if isinstance(output, str) else output
    return Outcome(parsed["value"] if parsed else None, error_code)
