"""Chooses the rows on which a version is proved: ordinary rows, and rows with special values, which fail most often.

The special values of a feature are a missing value, each choice (also those that no row has), the extremes of the data
and of model.toml, and values at the splits of trees. Each special value is put into a row of the data.
"""

import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from predictions.serving.compile.perturbation import beside, odd_values, split_values
from predictions.serving.engines.base import RawPredictions
from predictions.serving.engines.sklearn import SklearnEngine
from predictions.serving.schema.sentences import english
from predictions.serving.schema.signature import Boolean, Choice, Date, Feature, Integer, Number, Text, Value
from predictions.serving.training.profile import golden_positions

Row = list[Value]
Special = tuple[int, Value]

# The number of rows with special values. A feature with more special values raises it, up to MOST_SPECIAL_ROWS.
SPECIAL_ROWS = 48
MOST_SPECIAL_ROWS = 512
SPLITS = 2  # of each feature
# If several special values in one row fail, at most this many are tried one by one.
SINGLE_ROWS = 400


def proof_rows(engine: SklearnEngine, rows: Sequence[Row], answers: RawPredictions) -> tuple[list[Row], list[str]]:
    """The rows, and remarks about values that model.toml allows and on which the estimator itself fails."""
    ordinary = [rows[place] for place in golden_positions(answers)]
    specials = _specials(engine, rows)
    packed = _packed(ordinary, specials)
    good = working(engine, packed)
    if len(good) == len(packed):
        return [*ordinary, *good], []
    singles = specials[:SINGLE_ROWS]
    alone = [_with(ordinary[0], [special]) for special in singles]
    kept = {id(row) for row in working(engine, alone)}
    bearable = [special for special, row in zip(singles, alone, strict=True) if id(row) in kept]
    failing = [special for special, row in zip(singles, alone, strict=True) if id(row) not in kept]
    return [*ordinary, *working(engine, _packed(ordinary, bearable))], _remarks(engine, failing)


def working(engine: SklearnEngine, rows: Sequence[Row]) -> list[Row]:
    """The rows to which the estimator gives finite answers, in order. Rows that fail together are halved and tried."""
    if not rows or _answers(engine, rows):
        return list(rows)
    if len(rows) == 1:
        return []
    middle = len(rows) // 2
    return working(engine, rows[:middle]) + working(engine, rows[middle:])


def _answers(engine: SklearnEngine, rows: Sequence[Row]) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"):  # some values are meant to be odd
            return engine.predict(rows).are_finite
    except Exception:  # noqa: BLE001  # an estimator may raise anything
        return False


def _specials(engine: SklearnEngine, rows: Sequence[Row]) -> list[Special]:
    splits = _splits(engine)
    return [
        (place, value)
        for place, (feature, column) in enumerate(zip(engine.signature.features, zip(*rows, strict=True), strict=True))
        for value in _allowed(feature, _values(feature, column, splits.get(place, [])))
    ]


def _splits(engine: SklearnEngine) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for place, split in split_values(engine.estimator, len(engine.signature.features)):
        known = found.setdefault(place, [])
        if len(known) < SPLITS and split not in known:
            known.append(split)
    return found


def _values(feature: Feature, column: Sequence[Value], splits: Sequence[float]) -> list[Value]:
    missing: list[Value] = [] if feature.required else [None]
    present = [value for value in column if value is not None]
    if isinstance(feature, Choice):
        return [*missing, *feature.values]
    if isinstance(feature, Boolean):
        return [*missing, False, True]
    if isinstance(feature, Text):
        return [*missing, *(f"{text}\nunseen" for text in present[:1])]
    if isinstance(feature, Date):
        return [*missing, *sorted({min(present), max(present)} if present else set())]
    seen: list[Value] = [min(present), max(present)] if present else []
    return [*odd_values(feature, column), *seen, *_near(feature, splits)]


def _near(feature: Number | Integer, splits: Sequence[float]) -> list[Value]:
    near = [value for split in splits for value in beside(split)]
    return [*sorted({round(value) for value in near})] if isinstance(feature, Integer) else [*near]


def _allowed(feature: Feature, values: Sequence[Value]) -> list[Value]:
    rule: TypeAdapter[Any] = TypeAdapter(feature.rule())
    found: list[Value] = []
    for value in values:
        with suppress(ValidationError):
            found.append(None if value is None else rule.validate_python(value))
    return found


def _packed(ordinary: Sequence[Row], specials: Sequence[Special]) -> list[Row]:
    """Few rows with all special values: several in one row, each of another feature."""
    if not specials:
        return []
    commonest = int(np.bincount([place for place, _ in specials]).max())
    count = min(len(specials), max(SPECIAL_ROWS, commonest), MOST_SPECIAL_ROWS)
    return [_with(ordinary[start % len(ordinary)], specials[start::count]) for start in range(count)]


def _with(row: Row, specials: Sequence[Special]) -> Row:
    changed = list(row)
    for place, value in specials:
        changed[place] = value
    return changed


def _remarks(engine: SklearnEngine, failing: Sequence[Special]) -> list[str]:
    names = engine.signature.names
    missing = [names[place] for place, value in failing if value is None]
    other = [f"{names[place]} {value!r}" for place, value in failing if value is not None]
    remarks = []
    if missing:
        remarks.append(
            english(
                "The estimator fails where these are left out: {what}. Say required = true in model.toml, or add an"
                " imputer.",
                what=_few(missing),
            )
        )
    if other:
        remarks.append(english("The estimator fails on values that model.toml allows: {what}.", what=_few(other)))
    return remarks


def _few(words: Sequence[str]) -> str:
    named = ", ".join(words[:5])
    return english("{words} and {count} more", words=named, count=len(words) - 5) if len(words) > 5 else named
