"""The answer of a version as one number for each row, on a scale on which contributions can be added."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from predictions.explanations.contributions import Answer, Row
from predictions.serving.engines.base import Floats
from predictions.serving.engines.linear import gives_log_odds
from predictions.serving.engines.opening import Loaded
from predictions.serving.engines.sureness import calibrated
from predictions.serving.engines.table import build_table
from predictions.serving.schema.sentences import english
from predictions.serving.schema.signature import Value


class NotExplained(Exception):
    """The text says why answers of this version are not explained."""


@dataclass(frozen=True, slots=True)
class Surface:
    """`scale`: the value itself, the log-odds of the answered class, or its shown probability."""

    answer: Answer
    scale: Literal["value", "log-odds", "probability"]
    label: str | None = None


def surface(loaded: Loaded, row: Row) -> Surface:
    """The surface that explains the answer to `row`. Raises NotExplained if there is none."""
    manifest, engine = loaded.manifest, loaded.engine
    if not manifest.batching:
        raise NotExplained(english("Its answer to one row depends on the rows beside it, so rows cannot be compared."))
    if manifest.targets:
        raise NotExplained(english("It gives several answers, and contributions would be those of one."))
    if not manifest.classes:
        return Surface(lambda rows: engine.predict(rows).outputs, "value")
    known = engine.predict([row])
    place = int(known.outputs[0])
    if known.probabilities is None or place < 0:
        raise NotExplained(
            english("It gives a class without a probability, so there is nothing that features could add to.")
        )
    label = manifest.labels[place]
    if manifest.log_odds is not None:
        return Surface(_sum(manifest.log_odds, 1.0 if place else -1.0), "log-odds", label)
    if len(manifest.classes) == 2 and gives_log_odds(loaded.estimator):
        return Surface(_log_odds(loaded, 1.0 if place else -1.0), "log-odds", label)
    return Surface(_probability(loaded, place), "probability", label)


def _probability(loaded: Loaded, place: int) -> Answer:
    sureness = loaded.manifest.sureness
    calibration = sureness.calibration if sureness else None

    def answer(rows: list[list[Value]]) -> Floats:
        shares = loaded.engine.predict(rows).probabilities
        if shares is None:
            raise NotExplained(english("It gives no probabilities for these rows."))
        return np.asarray(calibrated(calibration, shares)[:, place])

    return answer


def _sum(log_odds: Sequence[float], sign: float) -> Answer:
    def answer(rows: list[list[Value]]) -> Floats:
        return np.asarray(sign * (log_odds[0] + np.array(rows, dtype=np.float64) @ np.array(log_odds[1:])))

    return answer


def _log_odds(loaded: Loaded, sign: float) -> Answer:
    estimator, schema = loaded.estimator, loaded.manifest.input_schema

    def answer(rows: list[list[Value]]) -> Floats:
        return sign * np.asarray(estimator.decision_function(build_table(rows, schema)), dtype=np.float64)

    return answer
