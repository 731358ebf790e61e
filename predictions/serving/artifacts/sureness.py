"""The part of version.json about how sure a version's answers are.

Everything here was computed at registration from held-out rows, which the estimator has not seen. A part that the
data could not support is null, and `notes` says why. The larger arrays are in `sureness.npz`; `sha256` is its hash.
"""

import math
from typing import Literal, TypeAlias

from pydantic import Field

from predictions.serving.artifacts.description import Frozen

ARRAYS = "sureness.npz"
# The coverages that sets may state, the highest first.
SET_COVERAGES = (0.98, 0.95, 0.9, 0.8)

Grade: TypeAlias = Literal["clear", "uncertain", "outside"]
Part: TypeAlias = Literal["calibration", "sets", "interval", "difficulty", "gate"]


def rows_needed(coverage: float) -> int:
    """The number of held-out rows that a coverage needs: 2 / (1 - coverage), about twice the least possible."""
    return math.ceil(round(2 / (1 - coverage), 9))


class Evidence(Frozen):
    """How many of the held-out answers were right. No row is judged by a threshold that was computed with it."""

    right: int = Field(ge=0)
    of: int = Field(ge=0)


class Measured(Frozen):
    """Coverage counted on one half of the held-out rows with the threshold of the other half.

    If the promise holds, the count is between `low` and `high` (both included) in 99 of 100 such splits: it has the
    beta-binomial distribution with a = ceil((n + 1) * coverage) and b = n + 1 - a, n being `calibrated_on`.
    """

    covered: int = Field(ge=0)
    of: int = Field(ge=0)
    calibrated_on: int = Field(ge=0)
    low: int
    high: int


class ClassMap(Frozen):
    """How one class's probability p becomes a calibrated one.

    Sigmoid: 1 / (1 + exp(-(slope * log(p / (1 - p)) + intercept))). Isotonic: linear between the points (x, y).
    """

    slope: float = 1.0
    intercept: float = 0.0
    x: list[float] = []
    y: list[float] = []


class Calibration(Frozen):
    """Maps from the estimator's probabilities to calibrated ones; each row is scaled to the sum 1 afterwards.

    With two classes there is one map, for the second class. The log losses are means over cross-validated held-out
    rows, and `standard_error` is that of their difference.
    """

    method: Literal["sigmoid", "isotonic"]
    maps: list[ClassMap]
    rows: int
    log_loss_before: float
    log_loss_after: float
    standard_error: float


class Sets(Frozen):
    """Mondrian (per class) conformal prediction: class k is in the set if 1 - p_k <= thresholds[k].

    p_k is the estimator's own probability, before calibration. Lists are in the order of the classes, and `rows` are
    the held-out rows of each class.
    """

    coverage: float
    thresholds: list[float]
    rows: list[int]
    measured: list[Measured]


class Interval(Frozen):
    """Split conformal interval: value ± quantile * difficulty, difficulty being 1 with the method `constant`.

    It is clipped to `low` and `high`: the bounds of the target in model.toml (`bounds_from` is `model`), or the range
    of the targets in the data widened by a tenth on each side (`training`). Widths are means over cross-validated
    held-out rows, before clipping.
    """

    coverage: float
    quantile: float = Field(ge=0)
    method: Literal["constant", "difficulty"]
    rows: int
    low: float | None
    high: float | None
    bounds_from: Literal["model", "training"] | None
    mean_width: float
    constant_width: float
    measured: Measured


class Gate(Frozen):
    """Which rows lie outside the training data.

    A row is outside if the fifth nearest of `rows` training rows is further away than `distance`, or if more than
    `beyond` of its values lie beyond the training range. `held_out_outside` counts such held-out rows.
    """

    rows: int
    distance: float
    beyond: int
    held_out: int
    held_out_outside: int


class Sureness(Frozen):
    """The whole record.

    - `class_evidence`: for each grade, the evidence of each answered class, by position.
    - `never_clear`: positions of the classes whose answers were wrong too often to be called clear.
    - `evidence`: of a regression, one entry `interval`, whose `right` counts the intervals that held the true value. Of
      a classification that was registered before `class_evidence` was known: an entry for each grade.
    """

    rows: int
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(default=0, ge=0)
    calibration: Calibration | None = None
    sets: Sets | None = None
    interval: Interval | None = None
    gate: Gate | None = None
    evidence: dict[Literal["clear", "uncertain", "interval"], Evidence] = {}
    class_evidence: dict[Literal["clear", "uncertain"], list[Evidence]] = {}
    never_clear: list[int] = []
    notes: dict[Part, str] = {}
