"""Computes a what-if analysis: curves of single features, the smallest single change, and the answer to another row.

All rows of a request are predicted by one call of the predictor, so each has the same checks as any prediction. The
results show how the estimate moves, and not what a change in the world would do.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from predictions.serving.engines.opening import Loaded
from predictions.serving.engines.predictor import predict
from predictions.serving.schema.errors import InvalidInput
from predictions.serving.schema.kinds import Boolean, Choice, Feature, Integer, Number
from predictions.serving.schema.signature import Value

CURVE_POINTS = 25
# A curve goes on beyond the training range by this part of it on both sides: what is drawn there is a guess.
BEYOND = 0.15
# Rows of one request. If the values of all features need more rows, fewer values of each are tried.
MOST_ROWS = 4000


@dataclass(frozen=True, slots=True)
class _Asked:
    """A row with one other value. `place` is the position of the feature; `kind` is "curve" or "change"."""

    kind: str
    place: int
    value: Value


def what_if(loaded: Loaded, row: Sequence[Value], changed: Sequence[Value] | None) -> dict[str, Any]:
    """The result as JSON. `row` is the row of the prediction; `changed` is the row with other values, if given."""
    asked = _all_asked(loaded, row)
    rows = [list(row), list(changed or row), *(_with(row, one.place, one.value) for one in asked)]
    before, after, *answers = [outcome.output for outcome in predict(loaded, rows)]
    found = list(zip(asked, answers, strict=True))
    return {
        "before": before,
        "changed": after if changed is not None else None,
        "label": before.get("label") if before else None,
        "curves": _curves(loaded, row, before, found),
        "change": _smallest_change(loaded, row, before, found),
        "tried": _tried(found),
    }


def _all_asked(loaded: Loaded, row: Sequence[Value]) -> list[_Asked]:
    """The rows to predict. The changes come first: with thousands of features there may be no room for all curves."""
    features = list(enumerate(loaded.manifest.signature.features))
    lists = [("change", place, _candidates(loaded, place, row[place])) for place, _ in features]
    lists += [("curve", place, _grid(loaded, feature)) for place, feature in features]
    most = _most_of_each([len(values) for *_, values in lists])
    asked = [
        _Asked(kind, place, value)
        for kind, place, values in lists
        for value in _spread(values, most)
        if _is_allowed(loaded, row, place, value)
    ]
    return asked[:MOST_ROWS]


def _most_of_each(sizes: Sequence[int]) -> int:
    """The most values of each list with which all lists fit into MOST_ROWS, and at least one."""
    left = MOST_ROWS
    for place, size in enumerate(sorted(sizes)):
        most = left // (len(sizes) - place)
        if size > most:
            return max(most, 1)
        left -= size
    return MOST_ROWS


def _spread(values: Sequence[Value], most: int) -> Sequence[Value]:
    """Up to `most` of the values, spread evenly from the first to the last."""
    if len(values) <= most:
        return values
    return [values[step * (len(values) - 1) // max(most - 1, 1)] for step in range(most)]


def _with(row: Sequence[Value], place: int, value: Value) -> list[Value]:
    return [*row[:place], value, *row[place + 1 :]]


def _is_allowed(loaded: Loaded, row: Sequence[Value], place: int, value: Value) -> bool:
    try:
        loaded.manifest.signature.clean(_with(row, place, value))
    except InvalidInput:
        return False
    return True


# --- Curves -----------------------------------------------------------------------------------------------------------
def _seen(loaded: Loaded, feature: Feature) -> Mapping[str, Any]:
    seen: Mapping[str, Any] = loaded.manifest.profile.get("features", {}).get(feature.name, {})
    return seen


def _grid(loaded: Loaded, feature: Feature) -> list[Value]:
    seen = _seen(loaded, feature)
    if not isinstance(feature, Number | Integer) or "minimum" not in seen or seen["minimum"] == seen["maximum"]:
        return []
    low, high = seen["minimum"], seen["maximum"]
    more = (high - low) * BEYOND
    step = (high - low + 2 * more) / (CURVE_POINTS - 1)
    values = [low - more + place * step for place in range(CURVE_POINTS)]
    return sorted({_rounded(feature, value) for value in values})  # type: ignore[type-var]


def _rounded(feature: Feature, value: float) -> Value:
    """A value that a person could enter: a decile is 421.4, and not 421.40000000000003."""
    if isinstance(feature, Integer):
        return round(value)
    step = getattr(feature, "step", None)
    return float(f"{round(value / step) * step if step else value:.10g}")


def _curves(loaded: Loaded, row: Sequence[Value], before: Any, found: Any) -> list[dict[str, Any]]:
    """Six curves at most, first those of the features that move the answer most within the training range."""
    curves = []
    for place, feature in enumerate(loaded.manifest.signature.features):
        points = [
            {"x": one.value, "y": _height(output, before), "outside": output.get("grade") == "outside"}
            for one, output in found
            if one.kind == "curve" and one.place == place and output and _height(output, before) is not None
        ]
        seen = _seen(loaded, feature)
        inside = [point["y"] for point in points if seen["minimum"] <= point["x"] <= seen["maximum"]]
        if len(inside) > 1:
            ends = {"low": seen["minimum"], "high": seen["maximum"]}
            known = {"feature": feature.name, "own": row[place], "moves": max(inside) - min(inside)}
            curves.append({**known, **ends, "points": points})
    return sorted(curves, key=lambda curve: -curve["moves"])[:6]


def _height(output: Mapping[str, Any] | None, before: Mapping[str, Any] | None) -> float | None:
    """The quantity that a curve shows: the value, or the answered class's probability; None for several targets."""
    if not output or not before or before["kind"] == "multi":
        return None
    if output["kind"] == "regression":
        return float(output["value"])
    shares = output.get("probabilities")
    return float(shares[before["label"]]) if shares else None


# --- The smallest change ----------------------------------------------------------------------------------------------
def _candidates(loaded: Loaded, place: int, own: Value) -> list[Value]:
    """Other values to try: all other choices; numbers of the training rows, in the direction that is allowed."""
    feature = loaded.manifest.signature.features[place]
    if feature.immutable or own is None:
        return []
    if isinstance(feature, Choice):
        return [value for value in feature.values if value != own]
    if isinstance(feature, Boolean):
        return [not own]
    if not isinstance(feature, Number | Integer):
        return []
    ups = {"up": [1], "down": [-1]}.get(feature.direction or "", [1, -1])
    values = {_rounded(feature, float(value)) for value in _training_values(loaded, place)}
    return sorted(value for value in values if ((value > own) - (value < own)) in ups)  # type: ignore[operator, type-var]


def _training_values(loaded: Loaded, place: int) -> list[Any]:
    feature = loaded.manifest.signature.features[place]
    sample = [row[place] for row in loaded.manifest.background if row[place] is not None]
    return sorted([*sample, *_seen(loaded, feature).get("deciles", [])])


def _counts(one: _Asked, output: Mapping[str, Any] | None) -> bool:
    """Whether this is a change that has an answer. A row outside the training data does not count."""
    return one.kind == "change" and output is not None and output.get("grade") != "outside"


def _tried(found: Any) -> dict[str, int]:
    """How many changes were tried, and of how many features."""
    places = [one.place for one, output in found if _counts(one, output)]
    return {"features": len(set(places)), "values": len(places)}


def _smallest_change(loaded: Loaded, row: Sequence[Value], before: Any, found: Any) -> dict[str, Any] | None:
    """The smallest change that was tried and gives another class, or a number outside the interval.

    The size of a change is the share of training values between the two values.
    """
    best: tuple[float, _Asked, Any] | None = None
    for one, output in found:
        if not _counts(one, output) or not _differs(output, before):
            continue
        distance = _distance(loaded, one.place, row[one.place], one.value)
        if best is None or distance < best[0]:
            best = (distance, one, output)
    if best is None:
        return None
    feature = loaded.manifest.signature.features[best[1].place]
    return {"feature": feature.name, "from": row[best[1].place], "to": best[1].value, "output": best[2]}


def _differs(output: Mapping[str, Any], before: Mapping[str, Any] | None) -> bool:
    if not before or before["kind"] == "multi":
        return False
    if before["kind"] == "classification":
        return bool(output["label"] != before["label"])
    interval = before.get("interval")
    return bool(interval and not interval[0] <= output["value"] <= interval[1])


def _distance(loaded: Loaded, place: int, own: Value, other: Value) -> float:
    """The share of training values between the two; a choice counts as half of them."""
    feature = loaded.manifest.signature.features[place]
    if not isinstance(feature, Number | Integer):
        return 0.5
    values = _training_values(loaded, place)
    low, high = sorted([own, other])  # type: ignore[type-var]
    return (bisect_right(values, high) - bisect_left(values, low)) / max(len(values), 1)
