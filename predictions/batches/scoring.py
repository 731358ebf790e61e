"""Scores a block of rows: checks them, predicts the good ones in one call, and says what is wrong with the others."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from predictions.batches.blocks import Block
from predictions.batches.cells import Checked, check, what_stood_there
from predictions.batches.downloads import result_columns, target_columns
from predictions.batches.histograms import NOTHING, Histogram
from predictions.batches.layout import Layout
from predictions.serving.artifacts.manifest import Manifest
from predictions.serving.engines.opening import Loaded
from predictions.serving.engines.predictor import Outcome, predict, takes_array
from predictions.serving.schema.advice import Advisor
from predictions.serving.schema.errors import Problem, WorkerLost
from predictions.serving.schema.wording import printable

# A page shows the errors grouped by code and column. Each chunk keeps at most this many groups.
GROUPS = 50
BINS = 20


@dataclass(frozen=True, slots=True)
class Scored:
    """`columns` are the new columns of the results by name, one cell for each row; `problems` are by row."""

    columns: dict[str, list[Any]]
    problems: dict[int, list[Problem]]
    summary: dict[str, Any]

    @property
    def bad(self) -> int:
        return len(self.problems)


def score(
    block: Block,
    layout: Layout,
    loaded: Loaded,
    first: Histogram = NOTHING,
    find_lost: Callable[[Any, Loaded], set[int]] | None = None,
) -> Scored:
    """One answer or error for each row.

    Args:
        first: the histogram of the first chunk, whose bins this one takes; empty if it is the first.
        find_lost: gets the values of the valid rows, and returns the positions in them that must not be predicted.

    Raises:
        ModelUnavailable: the version turned out not to serve.
    """
    manifest = loaded.manifest
    checked = check(block, layout, manifest.signature, as_array=takes_array(loaded))
    if find_lost is not None:
        checked = _without(checked, find_lost(checked.values, loaded))
    outcomes = predict(loaded, checked.values)
    problems = dict(checked.problems)
    for row, outcome in zip(checked.good.tolist(), outcomes, strict=True):
        if outcome.error:
            problems[row] = [Problem(None, outcome.error.code, outcome.error.sentence)]
    columns = _answers(manifest, checked, outcomes, block.rows)
    columns["advice"] = _advice(loaded, checked, block.rows)
    columns["error"] = [None] * block.rows
    for row, found in problems.items():
        columns["error"][row] = error_text(found)
    ordered = {name: columns[name] for name in result_columns(manifest.answered)}
    return Scored(ordered, problems, _summary(block, layout, manifest, problems, outcomes, first))


def _without(checked: Checked, lost: set[int]) -> Checked:
    """The lost rows are no longer among the good ones; each has an error."""
    if not lost:
        return checked
    kept = [place for place in range(len(checked.good)) if place not in lost]
    problems = {int(checked.good[place]): [Problem(None, WorkerLost.code, WorkerLost.sentence)] for place in lost}
    values = checked.values[kept] if isinstance(checked.values, np.ndarray) else [checked.values[at] for at in kept]
    return Checked(checked.good[kept], values, {**checked.problems, **problems})


def error_text(problems: Sequence[Problem]) -> str:
    return "; ".join(f"{problem.feature or ''}: {problem.code}: {problem.message}" for problem in problems)


def give_up(block: Block, layout: Layout, manifest: Manifest) -> Scored:
    """The result of a chunk at which several workers died: each row gets an error, and none is predicted."""
    problems = {row: [Problem(None, WorkerLost.code, WorkerLost.sentence)] for row in range(block.rows)}
    columns: dict[str, list[Any]] = {name: [None] * block.rows for name in result_columns(manifest.answered)}
    columns["error"] = [error_text(found) for found in problems.values()]
    return Scored(columns, problems, _summary(block, layout, manifest, problems, [], NOTHING))


# --- Answers ----------------------------------------------------------------------------------------------------------
def _answers(manifest: Manifest, checked: Checked, outcomes: Sequence[Outcome], rows: int) -> dict[str, list[Any]]:
    outputs = [outcome.output or {} for outcome in outcomes]
    found = {} if manifest.views else _columns(manifest, outputs)
    names = target_columns(manifest.answered) if manifest.views else {}
    for view in manifest.views:
        target = view.target.name
        part = _columns(view, [output.get("outputs", {}).get(target, {}) for output in outputs])
        found |= {names[target, column]: values for column, values in part.items()}
    return {name: _placed(values, checked, rows) for name, values in found.items()}


def _columns(manifest: Manifest, outputs: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The new columns of one target by name."""
    found: dict[str, list[Any]] = {
        "prediction_set": _set_texts([output.get("prediction_set") for output in outputs]),
        "grade": [output.get("grade") for output in outputs],
    }
    if manifest.classes:
        found["prediction"] = [output.get("label") for output in outputs]
        shares = [output.get("probabilities") or {} for output in outputs]
        found |= {f"probability_{label}": [share.get(label) for share in shares] for label in manifest.labels}
    else:
        found["prediction"] = [output.get("value") for output in outputs]
        intervals = [output.get("interval") or (None, None) for output in outputs]
        found["lower"], found["upper"] = [low for low, _ in intervals], [high for _, high in intervals]
    return found


def _placed(values: list[Any], checked: Checked, rows: int) -> list[Any]:
    """Values of the good rows at their places among all rows."""
    if len(values) == rows:
        return values
    placed: list[Any] = [None] * rows
    for row, value in zip(checked.good.tolist(), values, strict=True):
        placed[row] = value
    return placed


def _set_texts(sets: Sequence[Sequence[str] | None]) -> list[str | None]:
    """The sets as JSON lists, since a label may have any character."""
    known: dict[Any, str] = {}
    return [None if labels is None else known.get(key := tuple(labels)) or _noted(known, key) for labels in sets]


def _noted(known: dict[Any, str], labels: tuple[str, ...]) -> str:
    known[labels] = json.dumps(labels, ensure_ascii=False)
    return known[labels]


# --- Advice -----------------------------------------------------------------------------------------------------------
def _advice(loaded: Loaded, checked: Checked, rows: int) -> list[str | None]:
    """The advice of each row as `feature: code` parts; None for a row without advice."""
    advisor = Advisor(loaded.manifest.signature, loaded.manifest.profile)
    found: list[str | None] = [None] * rows
    for place in _unusual(checked, advisor).tolist():
        values = checked.values[place]
        advice = advisor.advise(values.tolist() if isinstance(values, np.ndarray) else values)
        if advice:
            found[int(checked.good[place])] = "; ".join(f"{one.feature}: {one.code}" for one in advice)
    return found


def _unusual(checked: Checked, advisor: Advisor) -> Any:
    """The valid rows that may have advice: all, unless they are numbers whose range can be compared at once."""
    if not isinstance(checked.values, np.ndarray) or len(advisor.ranges) < checked.values.shape[1]:
        return np.arange(len(checked.values))
    low, high = np.array([limits for _, *limits in advisor.ranges]).T
    return np.flatnonzero(((checked.values < low) | (checked.values > high)).any(axis=1))


# --- Summary ----------------------------------------------------------------------------------------------------------
def _summary(
    block: Block,
    layout: Layout,
    manifest: Manifest,
    problems: Mapping[int, Sequence[Problem]],
    outcomes: Sequence[Outcome],
    first: Histogram,
) -> dict[str, Any]:
    outputs = [outcome.output for outcome in outcomes if outcome.output]
    return {"errors": _groups(block, layout, manifest, problems), "outputs": _histogram(manifest, outputs, first)}


def _groups(
    block: Block, layout: Layout, manifest: Manifest, problems: Mapping[int, Sequence[Problem]]
) -> list[dict[str, Any]]:
    """How often each code came up in each column, with the first example."""
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for row, found in problems.items():
        for problem in found:
            key = (problem.feature or "", problem.code)
            if key in groups:
                groups[key]["count"] += 1
            elif len(groups) < GROUPS:
                stood = what_stood_there(block, layout, manifest.signature, row, problem)
                groups[key] = {
                    "column": key[0], "code": key[1], "count": 1, "line": int(block.lines[row]),
                    "message": problem.message, "text": printable(stood),
                }  # fmt: skip
    return list(groups.values())


# --- Histogram --------------------------------------------------------------------------------------------------------
def _histogram(manifest: Manifest, outputs: Sequence[Mapping[str, Any]], first: Histogram) -> dict[str, Any]:
    """The histogram of a chunk, with the edges of the first chunk's histogram (`first`, empty for the first chunk)."""
    if not manifest.views:
        return _of_one(manifest, outputs, first.get("edges"))
    known = first.get("targets", {})
    return {"targets": {view.target.name: _of_target(view, outputs, known) for view in manifest.views}}


def _of_target(view: Manifest, outputs: Sequence[Mapping[str, Any]], known: Mapping[str, Histogram]) -> dict[str, Any]:
    name = view.target.name
    return _of_one(view, [output["outputs"][name] for output in outputs], known.get(name, {}).get("edges"))


def _of_one(manifest: Manifest, outputs: Sequence[Mapping[str, Any]], edges: Sequence[float] | None) -> dict[str, Any]:
    if manifest.classes:
        counts = Counter(output["label"] for output in outputs)
        return {"counts": {label: counts[label] for label in manifest.labels}}
    values = np.array([output["value"] for output in outputs], dtype=np.float64)
    edges = edges or _edges(values)
    inside = np.clip(values, edges[0], edges[-1]) if len(edges) else values
    return {"edges": list(edges), "counts": np.histogram(inside, bins=edges)[0].tolist() if len(edges) else []}


def _edges(values: Any) -> list[float]:
    if not len(values):
        return []
    low, high = float(values.min()), float(values.max())
    edges: list[float] = np.linspace(low, high if high > low else low + 1.0, BINS + 1).tolist()
    return edges
