"""Counts where two versions agree on the same inputs. Pages and commands add the words and the intervals."""

import math
import uuid
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

from predictions.comparison.truths import NOTHING, Told
from predictions.serving.schema.kinds import Boolean, Choice, Feature, Integer, Number

# In a group of fewer rows, the share of differing answers says little.
SMALLEST_GROUP = 10


@dataclass(frozen=True, slots=True)
class Pair:
    """One input with two answers, and what feedback tells about the first. `after` is None if there is no answer."""

    prediction: uuid.UUID
    values: Mapping[str, Any]
    before: Mapping[str, Any]
    after: Mapping[str, Any] | None
    fits: bool = True
    told: Told = NOTHING
    milliseconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """The two answers of one target to one input. `truth` is None if it is not known. `name` as in `Agreement`."""

    pair: Pair
    name: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]

    @property
    def truth(self) -> Any:
        return self.pair.told.truths.get(self.name)

    @property
    def is_open(self) -> bool:
        """Whether feedback says that the first answer was wrong, and does not give the true answer."""
        return self.truth is None and self.pair.told.was_right is False

    @property
    def differs(self) -> bool:
        """True for another class, or for a number outside the first answer's interval (without one: another number)."""
        interval = self.before.get("interval")
        if interval:
            return not interval[0] <= self.after["value"] <= interval[1]
        return not _is_same(self.before, self.after)

    @property
    def distance(self) -> float:
        """The distance of two numbers; for classes, of the probabilities of the first answer's class (else 0 or 1)."""
        if self.before["kind"] == "regression":
            return abs(float(self.before["value"]) - float(self.after["value"]))
        label = self.before["label"]
        before, after = ((one.get("probabilities") or {}).get(label) for one in (self.before, self.after))
        return float(self.differs) if before is None or after is None else abs(float(before) - float(after))

    def is_right(self, which: str) -> bool | None:
        """Whether the class of `before` or `after` is right; None if it is not known.

        Of an open answer with one target, the first class is wrong, and so is an equal second one. Of several targets,
        another one may have been wrong.
        """
        if self.truth is not None:
            return not self.error(getattr(self, which))
        is_wrong = self.is_open and not self.name and (which == "before" or not self.differs)
        return False if is_wrong else None

    def error(self, output: Mapping[str, Any]) -> float:
        """The error of an answer whose truth is known: the distance of a number; 1 for a wrong class, else 0."""
        if output["kind"] == "regression":
            return abs(float(output["value"]) - float(self.truth))
        return float(output["label"] != self.truth)


@dataclass(frozen=True, slots=True)
class Group:
    """The inputs with similar values of one feature, and how many of their answers differ."""

    feature: str
    values: str
    differing: int
    of: int


@dataclass(frozen=True, slots=True)
class Count:
    """The least and the greatest number that the feedback allows. They are equal if each true answer is known."""

    least: int
    most: int


class Agreement:
    """The comparison of one target. `name` is empty if there is only one target."""

    def __init__(self, name: str, answers: Sequence[Answer]) -> None:
        self.name = name
        self.answers = answers
        self.kind: str = answers[0].before["kind"]
        self.of = len(answers)
        self.differing = [answer for answer in answers if answer.differs]
        self.known = [answer for answer in answers if answer.truth is not None]
        self.judged = [answer for answer in answers if answer.truth is not None or answer.is_open]

    @property
    def same(self) -> int:
        return self.of - len(self.differing)

    @property
    def largest(self) -> list[Answer]:
        """The answers that differ most, at most five."""
        return sorted(self.differing, key=lambda answer: -answer.distance)[:5]

    @property
    def median_distance(self) -> float:
        return median(answer.distance for answer in self.answers)

    @property
    def undecided(self) -> int:
        """The number of open answers (see `Answer.is_open`) that differ."""
        return sum(answer.is_open and answer.differs for answer in self.answers)

    def right(self, which: str) -> Count:
        """How many answers `before` or `after` are right, among those that people have judged."""
        found = [answer.is_right(which) for answer in self.judged]
        return Count(found.count(True), len(found) - found.count(False))

    def right_alone(self, which: str) -> Count:
        """How many answers `before` or `after` are right, and the other one wrong, among those that were judged."""
        apart = [answer for answer in self.judged if answer.differs]
        other = "after" if which == "before" else "before"
        least = sum(one.is_right(which) is True for one in apart)
        most = sum(one.is_right(which) is not False and one.is_right(other) is not True for one in apart)
        return Count(least, most)

    def errors(self, which: str) -> list[float]:
        """The errors of `before` or `after`, where the truth is known."""
        return [answer.error(getattr(answer, which)) for answer in self.known]

    def closer(self, which: str) -> int:
        """How many numbers `before` or `after` are closer to the truth than the other one."""
        errors, others = self.errors(which), self.errors("after" if which == "before" else "before")
        pairs = zip(errors, others, strict=True)
        return sum(error < other and not _is_close(error, other) for error, other in pairs)

    def parts(self, feature: Feature) -> list[Group]:
        """All inputs by the values of one feature: a number in four groups of similar size, a choice by its values.

        Empty if the feature has no groups: a text, or a number that is always the same.
        """
        if not isinstance(feature, Number | Integer):
            return self._of_feature(feature)
        known = [(float(answer.pair.values[feature.name]), answer) for answer in self._with(feature)]
        edges = quarters([value for value, _ in known])
        if not edges:
            return []
        found: dict[int, list[Answer]] = {place: [] for place in range(len(edges) - 1)}
        for value, answer in known:
            found[max(bisect_left(edges, value, 1, len(edges) - 1), 1) - 1].append(answer)
        return [_group(feature, f"{edges[place]:g} to {edges[place + 1]:g}", one) for place, one in found.items()]

    def _with(self, feature: Feature) -> list[Answer]:
        return [answer for answer in self.answers if answer.pair.values.get(feature.name) is not None]

    def groups(self, features: Sequence[Feature]) -> list[Group]:
        """At most three groups of at least ten inputs in which more answers differ than overall, by falling share."""
        found = [group for feature in features for group in self._of_feature(feature)]
        share = len(self.differing) / self.of
        apart = [group for group in found if group.of >= SMALLEST_GROUP and group.differing / group.of > share]
        return sorted(apart, key=lambda group: -group.differing / group.of)[:3]

    def _of_feature(self, feature: Feature) -> list[Group]:
        known = self._with(feature)
        if not known:
            return []
        if isinstance(feature, Number | Integer):
            middle = median(answer.pair.values[feature.name] for answer in known)
            below = [answer for answer in known if answer.pair.values[feature.name] < middle]
            above = [answer for answer in known if answer.pair.values[feature.name] >= middle]
            return [_group(feature, f"below {middle:g}", below), _group(feature, f"{middle:g} and above", above)]
        if not isinstance(feature, Choice | Boolean):
            return []
        values = dict.fromkeys(answer.pair.values[feature.name] for answer in known)
        return [
            _group(feature, str(value), [answer for answer in known if answer.pair.values[feature.name] == value])
            for value in values
        ]


def quarters(values: Sequence[float]) -> list[float]:
    """The edges of the groups: the least value, the quartiles, the greatest; each edge once, so there may be fewer."""
    if len(values) < 2 or min(values) == max(values):
        return []
    return sorted({min(values), *quantiles(values, n=4, method="inclusive"), max(values)})


def _group(feature: Feature, values: str, answers: Sequence[Answer]) -> Group:
    return Group(feature.label, values, sum(answer.differs for answer in answers), len(answers))


def agreements(pairs: Sequence[Pair], targets: Sequence[str] = ()) -> list[Agreement]:
    """The comparison of each target that both versions answer.

    `targets` are the names of several targets, in the order of the comparisons; without them there is one target.
    """
    found: dict[str, list[Answer]] = {}
    for pair in pairs:
        before, after = _by_target(pair.before), _by_target(pair.after or {})
        for name in targets or [""]:
            if name in before and name in after and before[name]["kind"] == after[name]["kind"]:
                found.setdefault(name, []).append(Answer(pair, name, before[name], after[name]))
    return [Agreement(name, answers) for name, answers in found.items()]


def is_same_answer(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two outputs have the same classes, or the same numbers except for errors of rounding."""
    first, second = _by_target(one), _by_target(other)
    return first.keys() == second.keys() and all(_is_same(first[name], second[name]) for name in first)


def _is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    if one["kind"] != other["kind"]:
        return False
    if one["kind"] == "classification":
        return bool(one["label"] == other["label"])
    return _is_close(one["value"], other["value"])


def _is_close(one: float, other: float) -> bool:
    """Whether two numbers are the same except for errors of rounding."""
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)


def _by_target(output: Mapping[str, Any]) -> Mapping[str, Any]:
    if not output:
        return {}
    outputs: Mapping[str, Any] = output["outputs"] if output["kind"] == "multi" else {"": output}
    return outputs
