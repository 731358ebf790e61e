"""Decides how the ambiguous columns of a CSV are read: 01067 as a number or as a text, "NA" as missing or as a text.

A CSV has no types. Where no fact about a column decides, the estimator is asked: it answers rows of the data, read in
both ways. A reading on which it fails is wrong. If both work and the answers differ, the reading is taken whose answers
fit the target clearly better.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from predictions.serving.importing import class_names, inputs
from predictions.serving.importing.class_names import Answers
from predictions.serving.importing.column_witness import Witness
from predictions.serving.importing.data_file import as_written, lost_texts
from predictions.serving.importing.inputs import Columns
from predictions.serving.importing.targets import target_classes, target_values
from predictions.serving.registration import CannotRegister

# The estimator answers at most this many rows with ambiguous cells, and as many others, evenly spread.
ROWS = 1_000
# More ambiguous columns than these are all read in the same way.
MOST_COMBINED = 4
# A reading fits better if its squared errors are smaller by this many standard errors.
CLEAR = 2.0

# The columns that are read as they are written. The others are read as pandas reads them.
Reading = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """The columns and the data in the reading that was chosen. `doubts` are questions by column."""

    columns: Columns
    frame: pd.DataFrame
    doubts: Mapping[str, str]


def settle(path: Path, frame: pd.DataFrame, columns: Columns, estimator: Any) -> Settled:
    """Chooses the reading. Raises CannotRegister if the answers to two readings differ and fit the target alike."""
    lost = lost_texts(path, frame, [n for at, n in enumerate(columns.names) if _is_open(columns.witnesses.get(at))])
    if not lost:
        return Settled(columns, frame, {})
    written = as_written(path, [*lost])
    rows = _rows(np.logical_or.reduce([mask.to_numpy() for mask in lost.values()]))
    trials = _Trials(path, frame.iloc[rows], written.iloc[rows], columns, estimator)
    examples = {name: written[name][mask].iloc[0] for name, mask in lost.items()}
    chosen, doubted, why = _choose(path, trials, examples)
    doubts = {name: _doubt(examples[name], why, is_text=name in chosen) for name in doubted}
    return Settled(
        replace(columns, as_written=chosen), frame.assign(**{name: written[name] for name in chosen}), doubts
    )


def _is_open(witness: Witness | None) -> bool:
    """Whether no fact about the column decides how it is read."""
    return witness is None or not (witness.is_text or witness.categories)


def _choose(path: Path, trials: "_Trials", examples: Mapping[str, str]) -> tuple[Reading, list[str], str]:
    """The reading, the columns for which a person should look at it, and why it was chosen."""
    answered = trials.answered(_readings([*examples]))
    if not answered:
        return (), [], ""  # the proof of the version names the row on which the estimator fails
    different = _different(answered)
    if len(different) == 1:
        doubted = _unlike(different[0], [*answered])
        return different[0], doubted, "the estimator answers alike if they are read otherwise"
    chosen = trials.best(different)
    if chosen is None:
        name = _unlike(different[0], different)[0]
        raise CannotRegister(
            f"{path}: column {name!r} has values such as {examples[name]!r}, and the estimator answers otherwise if "
            f"they are read as texts: bring the data as Parquet, with the types on which it was fitted."
        )
    return chosen, _unlike(chosen, different), "the answers of the estimator fit the target better so"


def _doubt(example: str, why: str, *, is_text: bool) -> str:
    how = "as they are written" if is_text else "as pandas reads them"
    return f"has values such as {example!r}; they are read {how}, since {why}: right?"


@dataclass(frozen=True, slots=True)
class _Trials:
    """The estimator's answers to some rows of the data in several readings."""

    path: Path
    plain: pd.DataFrame
    written: pd.DataFrame
    columns: Columns
    estimator: Any

    def answered(self, readings: Sequence[Reading]) -> dict[Reading, list[Any]]:
        """The answers, with probabilities if there are any, to the readings on which the estimator does not fail."""
        found = {}
        for reading in readings:
            try:
                with warnings.catch_warnings(action="ignore"):
                    x = self._x(reading)
                    found[reading] = [_flat(getattr(self.estimator, method)(x)) for method in self._methods]
            except Exception:  # noqa: BLE001, S112 - an estimator may raise anything
                continue
        return found

    def best(self, readings: Sequence[Reading]) -> Reading | None:
        """The reading whose answers fit the target clearly better than those of all others; None if there is none."""
        try:
            errors = {reading: self._errors(self._x(reading)) for reading in readings}
        except (CannotRegister, TypeError, ValueError):  # the target does not fit: the registration says how
            return None
        best = min(readings, key=lambda reading: float(np.mean(errors[reading])))
        is_clear = all(_is_clear(errors[other] - errors[best]) for other in readings if other != best)
        return best if is_clear else None

    @property
    def _methods(self) -> list[str]:
        return [method for method in ("predict", "predict_proba") if hasattr(self.estimator, method)]

    def _x(self, reading: Reading) -> Any:
        columns = replace(self.columns, as_written=reading)
        frame = self.plain.assign(**{name: self.written[name] for name in reading})
        return inputs.handed_over(inputs.as_input(self.path, frame, columns), columns.container)

    def _errors(self, x: Any) -> Any:
        """The squared error of each row, summed over the targets; zeros without targets."""
        known, answers = target_classes(self.estimator, len(self.columns.targets)), Answers(self.estimator, x)
        found = [np.zeros(len(self.plain))]
        for place, (name, classes) in enumerate(zip(self.columns.targets, known, strict=True)):
            labels = class_names.naming(answers, place, self.plain[name], classes).labels
            truth = target_values(self.path, self.plain[name], classes, labels)
            found.append(_squared(answers, place, truth, classes))
        return np.sum(found, axis=0)


def _flat(answers: Any) -> Any:
    """The answers as one array. The probabilities of several targets are a list of arrays."""
    return np.hstack(answers) if isinstance(answers, list) else np.asarray(answers)


def _squared(answers: Answers, place: int, truth: Any, classes: Sequence[Any] | None) -> Any:
    """The squared errors for one target: of a number in units of its variance, of a class by its probability."""
    given = answers.classes[:, place]
    if classes is None:
        return (truth - given) ** 2 / (np.var(truth) or 1.0)
    shares = _flat(answers.estimator.predict_proba(answers.x)) if hasattr(answers.estimator, "predict_proba") else None
    if shares is not None and shares.shape == (len(truth), len(classes)):
        positions = [list(classes).index(class_) for class_ in truth]
        return (1 - shares[np.arange(len(truth)), positions]) ** 2
    return np.array([one != other for one, other in zip(given, truth, strict=True)], dtype=np.float64)


def _is_clear(differences: Any) -> bool:
    error = float(np.std(differences)) / np.sqrt(len(differences))
    return bool(np.mean(differences) > CLEAR * error)


def _rows(is_ambiguous: Any) -> Any:
    """Positions of rows, with and without ambiguous cells."""
    parts = (np.flatnonzero(is_ambiguous), np.flatnonzero(~is_ambiguous))
    spread = [part[np.unique(np.linspace(0, len(part) - 1, ROWS).astype(int))] for part in parts if len(part)]
    return np.sort(np.concatenate(spread))


def _readings(names: Sequence[str]) -> list[Reading]:
    """All readings, those with the fewest texts first."""
    if len(names) > MOST_COMBINED:
        return [(), tuple(names)]
    return list(chain.from_iterable(combinations(names, count) for count in range(len(names) + 1)))


def _different(answered: Mapping[Reading, Sequence[Any]]) -> list[Reading]:
    """The first reading of each group of readings with the same answers."""
    found: list[Reading] = []
    for reading, answers in answered.items():
        if not any(are_alike(answers, answered[other]) for other in found):
            found.append(reading)
    return found


def are_alike(first: Sequence[Any], second: Sequence[Any]) -> bool:
    """Whether two lists of arrays are the same, except for errors of rounding."""
    return all(_is_alike(one, other) for one, other in zip(first, second, strict=True))


def _is_alike(one: Any, other: Any) -> bool:
    if one.shape != other.shape or one.dtype.kind != "f" or other.dtype.kind != "f":
        return bool(np.array_equal(one, other))
    return bool(np.allclose(one, other, rtol=1e-9, equal_nan=True))


def _unlike(chosen: Reading, others: Sequence[Reading]) -> list[str]:
    """The columns that some other reading reads otherwise."""
    return sorted({name for other in others for name in {*other} ^ {*chosen}})
