"""Makes rows that are similar to known ones: people may enter values that no data set contains."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np

from predictions.serving.engines.sklearn import parts
from predictions.serving.schema.errors import InvalidInput
from predictions.serving.schema.signature import Boolean, Choice, Integer, Number, Signature, Value

Row = list[Value]

STEP = 0.2  # of a feature's standard deviation
SWITCHED = 0.1  # of the choices and booleans of a row
WIDE = 0.5  # of the range that was seen, added on both sides
FAR = 3.0  # of the range that was seen, for extreme values
EACH = 3  # rows for each odd value
DECIMALS = 4  # a number with more decimals was measured without a grid


def moved(rows: Sequence[Row], signature: Signature, count: int, random: np.random.Generator) -> list[Row]:
    """`count` rows at most: given rows with every number moved a little, and some choices switched to others seen."""
    drawn = random.integers(len(rows), size=count)
    columns = []
    for feature, column in zip(signature.features, zip(*rows, strict=True), strict=True):
        values = [column[place] for place in drawn]
        if isinstance(feature, Number | Integer):
            columns.append(_moved(feature, values, random))
        elif isinstance(feature, Choice | Boolean):
            others = [column[place] for place in random.integers(len(column), size=count)]
            switched = random.random(count) < SWITCHED
            columns.append([o if s else v for v, o, s in zip(values, others, switched, strict=True)])
        else:
            columns.append(values)
    return _allowed(zip(*columns, strict=True), signature)


def wide(rows: Sequence[Row], signature: Signature, count: int, random: np.random.Generator) -> list[Row]:
    """`count` rows at most, with values drawn independently, and numbers from their whole range and beyond."""
    columns = [
        _spread(feature, column, count, random)
        if isinstance(feature, Number | Integer)
        else [column[place] for place in random.integers(len(column), size=count)]
        for feature, column in zip(signature.features, zip(*rows, strict=True), strict=True)
    ]
    return _allowed(zip(*columns, strict=True), signature)


def on_grid(rows: Sequence[Row], signature: Signature, count: int, random: np.random.Generator) -> list[Row]:
    """`count` rows at most of values that the data has, drawn independently, and half the numbers moved to others with
    as many decimals. Such values meet thresholds and tie, as the values that people enter do."""
    columns = [
        _on_grid(feature, [column[place] for place in random.integers(len(column), size=count)], random)
        for feature, column in zip(signature.features, zip(*rows, strict=True), strict=True)
    ]
    return _allowed(zip(*columns, strict=True), signature)


def on_splits(
    rows: Sequence[Row], signature: Signature, splits: Sequence[tuple[int, float]], count: int, random: Any
) -> list[Row]:
    """`count` rows at most with one value on a split of a tree, or on a neighbouring float, where rounding shows."""
    made: list[Row] = []
    for _ in range(count if splits else 0):
        feature, split = splits[random.integers(len(splits))]
        row = list(rows[random.integers(len(rows))])
        row[feature] = _like(signature.features[feature], random.choice(beside(split)))
        made.append(row)
    return _allowed(made, signature)


def beside(split: float) -> list[float]:
    """The threshold of a split and its neighbours in float64 and float32."""
    rounded = [float(np.nextafter(np.float32(split), np.float32(side))) for side in (-np.inf, np.inf)]
    return [split, float(np.nextafter(split, np.inf)), *rounded]


def split_values(estimator: Any, width: int) -> list[tuple[int, float]]:
    """(feature, threshold) of each split of the trees whose inputs are the signature's features themselves."""
    found: list[tuple[int, float]] = []
    for part in parts(estimator):
        tree = getattr(part, "tree_", None)
        if tree is not None and tree.n_features == width:
            inner = tree.feature >= 0
            found += zip(tree.feature[inner].tolist(), tree.threshold[inner].tolist(), strict=True)
        elif hasattr(part, "_predictors") and getattr(part, "n_features_in_", None) == width:
            found += _boosted_splits(part)
    return found


def _boosted_splits(estimator: Any) -> Iterator[tuple[int, float]]:
    for member in chain.from_iterable(estimator._predictors):
        nodes = member.nodes[member.nodes["is_leaf"] == 0]
        nodes = nodes[(nodes["is_categorical"] == 0) & np.isfinite(nodes["num_threshold"])]
        yield from zip(nodes["feature_idx"].tolist(), nodes["num_threshold"].tolist(), strict=True)


def _like(feature: object, value: float) -> Value:
    """The number as the feature allows it: a whole-number feature gets the nearest integer."""
    return round(value) if isinstance(feature, Integer) else float(value)


def odd(rows: Sequence[Row], signature: Signature, random: np.random.Generator) -> list[Row]:
    """Rows with one value that is missing, extreme, or a choice that no row has, as far as the signature allows it."""
    made: list[Row] = []
    for place, (feature, column) in enumerate(zip(signature.features, zip(*rows, strict=True), strict=True)):
        for value in odd_values(feature, column):
            drawn = [rows[row] for row in random.integers(len(rows), size=EACH)]
            made.extend([*row[:place], value, *row[place + 1 :]] for row in drawn)
    return _allowed(made, signature)


def _moved(feature: Number | Integer, values: Sequence[Value], random: np.random.Generator) -> list[Value]:
    numbers = np.array(values, dtype=np.float64)
    spread = float(np.nanstd(numbers)) if not np.isnan(numbers).all() else 0.0
    return _within(feature, numbers + random.normal(size=len(values)) * (spread * STEP or 1.0))


def _on_grid(feature: object, values: list[Value], random: np.random.Generator) -> list[Value]:
    places = _decimals(values) if isinstance(feature, Number | Integer) else None
    if places is None or not isinstance(feature, Number | Integer):
        return values
    moved = [
        None if value is None else _like(feature, round(float(value), places))
        for value in _moved(feature, values, random)
    ]
    return [m if chosen else v for v, m, chosen in zip(values, moved, random.random(len(values)) < 0.5, strict=True)]


def _decimals(values: Sequence[Value]) -> int | None:
    """The number of decimals that all numbers have at most; None if there are too many."""
    numbers = np.array([value for value in values if value is not None], dtype=np.float64)
    return next((places for places in range(DECIMALS + 1) if (np.round(numbers, places) == numbers).all()), None)


def _spread(feature: Number | Integer, column: Sequence[Value], count: int, random: np.random.Generator) -> list[Value]:
    present = [float(value) for value in column if value is not None] or [0.0]
    beyond = (max(present) - min(present) or 1.0) * WIDE
    return _within(feature, random.uniform(min(present) - beyond, max(present) + beyond, size=count))


def _within(feature: Number | Integer, numbers: Any) -> list[Value]:
    low = -np.inf if feature.minimum is None else feature.minimum
    high = np.inf if feature.maximum is None else feature.maximum
    whole = isinstance(feature, Integer)
    return [
        None if number != number else round(number) if whole else number
        for number in np.clip(numbers, low, high).tolist()
    ]


def odd_values(feature: object, column: Sequence[Value]) -> list[Value]:
    """A missing value, extremes and unused choices, as far as the feature allows them."""
    missing: list[Value] = [] if getattr(feature, "required", True) else [None]
    if isinstance(feature, Number | Integer):
        present = [float(value) for value in column if value is not None] or [0.0]
        far = (max(present) - min(present) or 1.0) * FAR
        low = min(present) - far if feature.minimum is None else feature.minimum
        high = max(present) + far if feature.maximum is None else feature.maximum
        return [*missing, *((round(low), round(high)) if isinstance(feature, Integer) else (float(low), float(high)))]
    if isinstance(feature, Choice):
        return [*missing, *(value for value in feature.values if value not in column)]
    return missing


def _allowed(rows: Any, signature: Signature) -> list[Row]:
    return [cleaned for row in rows for cleaned in _cleaned(list(row), signature)]


def _cleaned(row: Row, signature: Signature) -> Iterator[Row]:
    try:
        yield signature.clean(row)
    except InvalidInput:
        return
