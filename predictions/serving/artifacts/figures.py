"""Counts and points from held-out rows, from which pages draw a version's quality. Nothing here imports numpy."""

from pydantic import Field

from predictions.serving.artifacts.description import Frozen


class Distribution(Frozen):
    """Numbers counted in bins of equal width from `minimum` to `maximum`.

    `percentiles` are the 0th to the 100th, 101 numbers, rising.
    """

    minimum: float
    maximum: float
    counts: list[int]
    percentiles: list[float]


class ReliabilityBin(Frozen):
    """Held-out rows whose shown probability of the answer lies in [low, high]: their mean probability, and how many of
    the answers were right."""

    low: float
    high: float
    mean: float
    right: int = Field(ge=0)
    of: int = Field(ge=0)


class Figures(Frozen):
    """The figures of a version. A field that the data could not give is empty.

    - `confusion[true][answered]`: held-out rows, in the order of the classes.
    - `answers`: (true value, answer) of held-out rows, at most 500 of them.
    - `importances`: by feature, how much worse held-out answers are if its values are shuffled between rows: the fall
      of the share of right answers, or the rise of the mean absolute error.
    - `target`: the training targets of a regression.
    """

    confusion: list[list[int]] = []
    reliability: list[ReliabilityBin] = []
    answers: list[tuple[float, float]] = []
    importances: dict[str, float] = {}
    target: Distribution | None = None
