"""The answer of a version, as it is shown, as one number for each row, on a scale on which contributions can be added.

A shown probability is the calibrated one, if the version has a calibration.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from predictions.explanations.contributions import Answer, Row
from predictions.serving.artifacts.manifest import Manifest
from predictions.serving.artifacts.sureness import Calibration
from predictions.serving.engines.base import Floats
from predictions.serving.engines.linear import gives_log_odds
from predictions.serving.engines.opening import Loaded
from predictions.serving.engines.sureness import LOG_ODDS_LIMITS, calibrated, calibrated_log_odds
from predictions.serving.engines.table import build_table
from predictions.serving.schema.sentences import english
from predictions.serving.schema.signature import Value


class NotExplained(Exception):
    """The text says why answers of this version are not explained."""


@dataclass(frozen=True, slots=True)
class Surface:
    """`scale`: the value itself, the shown probability of the answered class, or the log-odds of that probability."""

    answer: Answer
    scale: Literal["value", "log-odds", "probability"]
    label: str | None = None


def surface(loaded: Loaded, row: Row) -> Surface:
    """The surface that explains the answer to `row`. Raises NotExplained if there is none."""
    _check_version(loaded.manifest)
    if not loaded.manifest.classes:
        return Surface(lambda rows: loaded.engine.predict(rows).outputs, "value")
    return _of_class(loaded, row)


def _check_version(manifest: Manifest) -> None:
    """Raises NotExplained if no answer of this version is explained."""
    if not manifest.batching:
        raise NotExplained(english("Its answer to one row depends on the rows beside it, so rows cannot be compared."))
    if manifest.targets:
        raise NotExplained(english("It gives several answers, and contributions would be those of one."))
    # Its golden rows may be made up, and contributions against such rows would say more about them than about this row.
    if not manifest.background:
        raise NotExplained(
            english(
                "It keeps no training rows, so there are no cases to compare this one with. Register the estimator with"
                " its training data, and its answers are explained."
            )
        )


def _of_class(loaded: Loaded, row: Row) -> Surface:
    manifest, known = loaded.manifest, loaded.engine.predict([row])
    place = int(known.outputs[0])
    if known.probabilities is None or place < 0:
        raise NotExplained(
            english("It gives a class without a probability, so there is nothing that features could add to.")
        )
    label = manifest.labels[place]
    calibration = manifest.sureness.calibration if manifest.sureness else None
    odds = _log_odds(loaded)
    # An isotonic calibration is not linear in log-odds, so nothing would be additive there.
    if odds is None or (calibration and calibration.method == "isotonic"):
        return Surface(_probability(loaded, calibration, place), "probability", label)
    return Surface(_shown_log_odds(odds, calibration, place), "log-odds", label)


def _probability(loaded: Loaded, calibration: Calibration | None, place: int) -> Answer:
    def answer(rows: list[list[Value]]) -> Floats:
        shares = loaded.engine.predict(rows).probabilities
        if shares is None:
            raise NotExplained(english("It gives no probabilities for these rows."))
        return np.asarray(calibrated(calibration, shares)[:, place])

    return answer


def _shown_log_odds(odds: Answer, calibration: Calibration | None, place: int) -> Answer:
    """The log-odds of the shown probability of one of two classes. `odds` are the estimator's, of the second class."""
    sign = 1.0 if place else -1.0

    def answer(rows: list[list[Value]]) -> Floats:
        own = odds(rows)
        if calibration:
            own = calibrated_log_odds(calibration.maps[0], np.clip(own, *LOG_ODDS_LIMITS))
        return sign * own

    return answer


def _log_odds(loaded: Loaded) -> Answer | None:
    """The estimator's own log-odds of the second of two classes; None if it is not linear in log-odds."""
    manifest = loaded.manifest
    if manifest.log_odds is not None:
        return _sum(manifest.log_odds)
    if len(manifest.classes) == 2 and gives_log_odds(loaded.estimator):
        return _decision(loaded)
    return None


def _sum(log_odds: Sequence[float]) -> Answer:
    def answer(rows: list[list[Value]]) -> Floats:
        return np.asarray(log_odds[0] + np.array(rows, dtype=np.float64) @ np.array(log_odds[1:]))

    return answer


def _decision(loaded: Loaded) -> Answer:
    estimator, schema = loaded.estimator, loaded.manifest.input_schema

    def answer(rows: list[list[Value]]) -> Floats:
        return np.asarray(estimator.decision_function(build_table(rows, schema)), dtype=np.float64)

    return answer
