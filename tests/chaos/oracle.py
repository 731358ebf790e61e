"""What the right answer to a row is: the models answer 2x + 1, and x tells which row was asked about."""

import json
from dataclasses import dataclass
from typing import Any

from tests.worker.estimators import ABORT, CRASH, EAT, HANG, RAISE

# How a row ends that the estimator cannot survive. Any other x is answered.
BAD = {RAISE: "model_error", CRASH: "worker_lost", ABORT: "worker_lost", EAT: "worker_lost", HANG: "worker_lost"}
# Above all numbers that mean something to the estimator.
FIRST_NUMBER = 2_000_000


@dataclass(frozen=True)
class Ended:
    """How a prediction ended: a value, or the code of an error."""

    value: float | None
    error_code: str = ""


def expected(x: float) -> Ended:
    return Ended(None, BAD[x]) if x in BAD else Ended(2 * x + 1)


def found(output: Any, error_code: str) -> Ended:
    """As the database has it: SQLite keeps JSON as text."""
    shaped = json.loads(output) if isinstance(output, str) else output
    return Ended(shaped["value"] if shaped else None, error_code)
