"""Predicts rows with one loaded version. Each row gets one outcome, in the shape that users see."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from predictions.serving.artifacts.manifest import Manifest, TargetOutput
from predictions.serving.artifacts.sureness import Interval, Sureness
from predictions.serving.engines.base import RawPredictions
from predictions.serving.engines.opening import Loaded
from predictions.serving.engines.sureness import calibrated
from predictions.serving.schema.errors import ForetellError, ModelFailure
from predictions.serving.schema.signature import Value

logger = logging.getLogger(__name__)

# Probabilities on a threshold stay inside it when another processor or a compiled estimator rounds differently.
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to one row, or why there is none: exactly one of the two is set.

    An output of a classification:
    - `kind`: "classification"; `label`: the estimator's own answer.
    - `probabilities`: by label, calibrated where that is better (see `sureness.calibration` in the manifest), else the
      estimator's own; null if it has none. After calibration the answer need not be the likeliest class.
    - `prediction_set`: the labels that can't be excluded, likeliest first. It may be empty: the row is unusual for
      every class. Null if outside, or if the data support no sets; `sureness.notes` says why.
    - `coverage`: the share of the rows of each class whose set holds that class; null where the set is null.
    - `grade`: "outside" if the row lies outside the training data, "clear" if the set holds the answer alone, unless
      such answers were wrong too often (see `never_clear` in the manifest), else "uncertain". Null if there is no set.
    - `grade_evidence`: `{"right", "of"}`, how many held-out answers of this class and this grade were right (of this
      grade, in versions that were registered before classes were counted apart). Null for "outside", and if unknown.

    An output of a regression:
    - `kind`: "regression"; `value`; `unit`.
    - `interval`: [low, high], it holds the value and is clipped to what the target can be. Null if outside or unknown.
    - `coverage`: the share of rows whose interval holds the true value; null where the interval is null.
    - `grade`: "outside" or null. An interval says how sure a number is; a number is never "clear".
    - `grade_evidence`: `{"right", "of"}`, how many held-out values lay within their intervals; null without interval.

    An output of several targets: `kind`: "multi"; `outputs`: by the name of each target, one of the above.
    """

    output: dict[str, Any] | None
    error: ForetellError | None


@dataclass(frozen=True, slots=True)
class _Known:
    """The assessment of each row. If `trusted` is false, assessing failed: the rows get no set or interval."""

    trusted: bool
    outside: list[bool]
    difficulty: list[float]


def predict(loaded: Loaded, rows: Sequence[Sequence[Value]]) -> list[Outcome]:
    """One outcome per row, in order, from one vectorised call.

    Rows are cleaned values in signature order; an array of float64 where `takes_array` says so. If the call raises, the
    rows are tried one by one, so that a bad row fails alone. MemoryError and our own errors (a time limit, say) concern
    all rows and are raised.
    """
    if len(rows) == 0:
        return []
    try:
        return _outcomes(loaded, rows)
    except (MemoryError, ForetellError):
        raise
    except Exception as error:  # noqa: BLE001  # an estimator may raise anything
        if len(rows) == 1:
            return [_failure(loaded.manifest, error)]
        logger.info("%s: a call of %d rows failed, trying them one by one", _called(loaded.manifest), len(rows))
    return [outcome for row in rows for outcome in predict(loaded, [row])]


def takes_array(loaded: Loaded) -> bool:
    """Whether rows may be one array of float64, which saves a list for each row."""
    compiled = loaded.manifest.compiled
    return (compiled is not None and compiled.layout == "table") or loaded.manifest.input_schema.is_plain


def _outcomes(loaded: Loaded, rows: Sequence[Sequence[Value]]) -> list[Outcome]:
    answers = loaded.engine.predict(rows)
    known = _assess(loaded, rows)
    return [_outcome(loaded.manifest, output) for output in _outputs(loaded.manifest, answers, known)]


def _outputs(manifest: Manifest, answers: RawPredictions, known: _Known) -> list[dict[str, Any] | None]:
    if manifest.views:
        return _several(manifest, answers, known)
    return _classes(manifest, answers, known) if manifest.classes else _numbers(manifest, answers, known)


def _several(manifest: Manifest, answers: RawPredictions, known: _Known) -> list[dict[str, Any] | None]:
    """All targets of each row; None for a row where one of them has no answer."""
    names = [view.target.name for view in manifest.views]
    columns = [
        _outputs(view, given, known)
        for view, given in zip(manifest.views, by_target(answers, manifest.targets), strict=True)
    ]
    return [
        None if None in outputs else {"kind": "multi", "outputs": dict(zip(names, outputs, strict=True))}
        for outputs in zip(*columns, strict=True)
    ]


def by_target(answers: RawPredictions, targets: Sequence[TargetOutput]) -> list[RawPredictions]:
    """The answers of each target alone."""
    ends = np.cumsum([len(one.classes) for one in targets])
    shares = answers.probabilities
    return [
        RawPredictions(answers.outputs[:, place], None if shares is None else shares[:, end - len(one.classes) : end])
        for place, (one, end) in enumerate(zip(targets, ends.tolist(), strict=True))
    ]


def _assess(loaded: Loaded, rows: Sequence[Sequence[Value]]) -> _Known:
    """Without an assessor the rows count as inside. If the assessor fails, they get no set and no interval."""
    inside = [False] * len(rows)
    if loaded.assessor is None:
        return _Known(not _needs_assessor(loaded.manifest.sureness), inside, [])
    try:
        found = loaded.assessor.assess(rows)
    except Exception:  # an answer without a set or interval is better than no answer
        logger.warning("%s: sureness could not be computed", _called(loaded.manifest), exc_info=True)
        return _Known(False, inside, [])
    return _Known(True, found.outside.tolist(), [] if found.difficulty is None else found.difficulty.tolist())


def _needs_assessor(sureness: Sureness | None) -> bool:
    return sureness is not None and sureness.sha256 is not None


def _outcome(manifest: Manifest, output: dict[str, Any] | None) -> Outcome:
    if output is None:
        logger.warning("%s: an answer is not finite or not one of its classes", _called(manifest))
        return Outcome(None, ModelFailure("not finite, or an unknown class"))
    return Outcome(output, None)


def _numbers(manifest: Manifest, answers: RawPredictions, known: _Known) -> list[dict[str, Any] | None]:
    interval = manifest.sureness.interval if manifest.sureness and known.trusted else None
    if interval and interval.method == "difficulty" and not known.difficulty:
        interval = None
    evidence = _evidence(manifest.sureness, "interval")
    varies = interval is not None and interval.method == "difficulty"
    sizes = known.difficulty if varies else [1.0] * len(known.outside)
    return [
        _number(
            manifest, value, interval if math.isfinite(size) and not outside else None, size, evidence, outside=outside
        )
        for value, outside, size in zip(answers.outputs.tolist(), known.outside, sizes, strict=True)
    ]


def _number(
    manifest: Manifest, value: float, interval: Interval | None, size: float, evidence: Any, *, outside: bool
) -> dict[str, Any] | None:
    if not math.isfinite(value):
        return None
    bounds = _clipped(interval, value, interval.quantile * size) if interval and not outside else None
    if bounds is None or not all(map(math.isfinite, bounds)):
        interval = bounds = None
    return {
        "kind": "regression",
        "value": value,
        "unit": manifest.unit,
        "interval": bounds,
        "coverage": interval.coverage if interval else None,
        "grade": "outside" if outside else None,
        "grade_evidence": evidence if interval else None,
    }


def _clipped(interval: Interval, value: float, width: float) -> list[float]:
    """The interval within its bounds. The value stays in it, even where an estimator exceeds the bounds itself."""
    low, high = value - width, value + width
    if interval.low is not None:
        low = min(max(low, interval.low), value)
    if interval.high is not None:
        high = max(min(high, interval.high), value)
    return [low, high]


def _classes(manifest: Manifest, answers: RawPredictions, known: _Known) -> list[dict[str, Any] | None]:
    sureness = manifest.sureness
    positions = [int(position) for position in answers.outputs.tolist()]
    raw = answers.probabilities
    if raw is None:
        return [
            _classified(manifest, position, None, None, outside)
            for position, outside in zip(positions, known.outside, strict=True)
        ]
    shown = calibrated(sureness.calibration if sureness else None, raw).tolist()
    sets: list[Any] = [None] * len(positions)
    if sureness and sureness.sets and known.trusted:
        slack = ROUNDING + (manifest.compiled.largest_difference if manifest.compiled else 0.0)
        sets = (1.0 - raw <= np.array(sureness.sets.thresholds) + slack).tolist()
    return [
        _classified(manifest, position, row, None if outside else held, outside)
        for position, row, held, outside in zip(positions, shown, sets, known.outside, strict=True)
    ]


def _classified(
    manifest: Manifest, position: int, row: list[float] | None, held: list[bool] | None, outside: bool
) -> dict[str, Any] | None:
    if position < 0 or (row is not None and not all(map(math.isfinite, row))):
        return None
    labels, sureness = manifest.labels, manifest.sureness
    places = None if held is None or row is None else _likeliest_first(held, row)
    grade = "outside" if outside else _grade(places, position, sureness)
    return {
        "kind": "classification",
        "label": labels[position],
        "probabilities": dict(zip(labels, row, strict=True)) if row is not None else None,
        "prediction_set": None if places is None else [labels[place] for place in places],
        "coverage": sureness.sets.coverage if places is not None and sureness and sureness.sets else None,
        "grade": grade,
        "grade_evidence": _evidence(sureness, grade, position),
    }


def _likeliest_first(held: list[bool], row: list[float]) -> list[int]:
    places = [place for place, is_held in enumerate(held) if is_held]
    return sorted(places, key=lambda place: -row[place]) if len(places) > 1 else places


def _grade(places: list[int] | None, position: int, sureness: Sureness | None) -> str | None:
    if places is None:
        return None
    return "clear" if places == [position] and sureness and position not in sureness.never_clear else "uncertain"


def _evidence(sureness: Sureness | None, grade: Any, position: int = 0) -> dict[str, int] | None:
    if sureness is None or grade is None:
        return None
    by_class = sureness.class_evidence.get(grade)
    found = by_class[position] if by_class else sureness.evidence.get(grade)
    return {"right": found.right, "of": found.of} if found else None


def _failure(manifest: Manifest, error: Exception) -> Outcome:
    # The estimator's message may quote values or paths: it goes to the log and not into the outcome.
    logger.warning("%s: the estimator failed on a row", _called(manifest), exc_info=error)
    return Outcome(None, ModelFailure(type(error).__name__))


def _called(manifest: Manifest) -> str:
    return f"{manifest.model} version {manifest.version}"
