"""How sure an answer is, in sentences. Each sentence follows from facts in the prediction's `output` alone.

Shares are natural frequencies ("about 7 in 10"), among cases like those that the version was tested on: that is all a
conformal set or interval promises. An answer without the facts for a sentence has no sentence: rows of older versions
carry no grade, and their sets were filled up with the answer itself, so a set of one says nothing there.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from predictions.web.formatting import frequency_text, interval_text, probability_text

# The two likeliest classes are a tie if their probabilities differ by no more than this.
TIE = 0.01
# Fewer test cases than this are given as counts alone: their share would say more than they know.
ENOUGH_FOR_A_SHARE = 20
# A sentence names at most so many classes.
NAMED = 5
TESTED = "cases like those it was tested on"

OUTSIDE = (
    "Do not rely on this answer. The values are unlike all cases that the model learned from, and how often its answers"
    " are right for such values is not known."
)
GRADES: Mapping[str, str] = {"clear": "Clear", "uncertain": "Uncertain", "outside": "Outside its experience"}
USUAL = "The case is like those that the model learned from."
UNUSUAL = "The case differs from those that the model learned from."
CLUSTER = "The name of the group of training cases that this case belongs to. It is a name, not a measured value."


def sentences(output: Mapping[str, Any], task: str = "") -> list[str]:
    """What can be said of this answer, the most important first; the warning of `is_outside` is not among them."""
    if is_outside(output):
        return _evidence(output, "Answers for such values were")
    if task == "outliers":
        return [UNUSUAL if output.get("label") == "unusual" else USUAL]
    if task == "clusters":
        return [CLUSTER]
    return _of_class(output) if output["kind"] == "classification" else _of_number(output)


def grade_text(output: Mapping[str, Any]) -> str:
    """The grade as a word; empty for an answer without a grade."""
    return GRADES.get(output.get("grade") or "", "")


def is_outside(output: Mapping[str, Any]) -> bool:
    return output.get("grade") == "outside"


# --- Classification ---------------------------------------------------------------------------------------------------
def _of_class(output: Mapping[str, Any]) -> list[str]:
    grade = output.get("grade")
    if grade == "clear":
        return [*_tie(output), *_evidence(output, "When it was this sure, it was"), *_set(output)]
    said = [*_tie(output), *_set(output)]
    return said + _evidence(output, "When it was this unsure, it was") if grade == "uncertain" else said


def _tie(output: Mapping[str, Any]) -> list[str]:
    shares = output.get("probabilities") or {}
    ranked = sorted(shares.items(), key=lambda pair: -pair[1])
    if len(ranked) < 2 or ranked[0][1] - ranked[1][1] > TIE:
        return []
    (first, high), (second, low) = ranked[:2]
    return [f"A tie: {first} has {probability_text(high)} and {second} {probability_text(low)}. Either may be right."]


def _set(output: Mapping[str, Any]) -> list[str]:
    labels, grade = output.get("prediction_set"), output.get("grade")
    if labels is None or output.get("coverage") is None:
        return []
    often = frequency_text(output["coverage"])
    if len(labels) > 1:
        return [f"The model cannot tell between {_named(labels)}. The true answer is among them in {often} {TESTED}."]
    if grade == "uncertain" and not labels:
        return [
            f"The model is unusually unsure. The true answer fits well enough in {often} {TESTED}; here no answer does."
        ]
    if grade == "clear" and labels and not _tie(output):
        return [f"A clear case: only {labels[0]} fits. The true answer fits in {often} {TESTED}."]
    return []


def _named(labels: Sequence[str]) -> str:
    if len(labels) > NAMED:
        return f"{', '.join(labels[:NAMED])} and {len(labels) - NAMED} more"
    return f"{', '.join(labels[:-1])} and {labels[-1]}"


def _evidence(output: Mapping[str, Any], subject: str) -> list[str]:
    found = output.get("grade_evidence")
    if not found or not found["of"]:
        return []
    right, of = found["right"], found["of"]
    wrong = f", and wrong in {of - right}" if of > right else ""
    counted = f"{subject} right in {right} of {of} cases it had not seen{wrong}"
    return [f"{counted}: {frequency_text(right / of)} were right." if of >= ENOUGH_FOR_A_SHARE else f"{counted}."]


# --- Regression -------------------------------------------------------------------------------------------------------
def _of_number(output: Mapping[str, Any]) -> list[str]:
    if not output.get("interval") or output.get("coverage") is None:
        return []
    _, low, high = interval_text(output["value"], *output["interval"])
    often = frequency_text(output["coverage"])
    return [f"The true value lies between {low} and {high} in {often} {TESTED}.", *_held(output)]


def _held(output: Mapping[str, Any]) -> list[str]:
    found = output.get("grade_evidence")
    if not found or not found["of"]:
        return []
    return [f"In {found['right']} of {found['of']} cases it had not seen, the true value lay inside such an interval."]


def standing(output: Mapping[str, Any], target: Mapping[str, Any] | None, rows: int, cases: str) -> str:
    """Where a number stands among the training targets; empty if it is outside, or if they were not counted.

    `target` is the distribution of the targets, `rows` their number and `cases` what they are, in the plural.
    """
    if not target or not rows or is_outside(output) or output["kind"] != "regression":
        return ""
    value = output["value"]
    if value < target["minimum"]:
        return f"Lower than all {rows} {cases} in the data."
    if value > target["maximum"]:
        return f"Higher than all {rows} {cases} in the data."
    below = share_below(value, target["percentiles"])
    word, share = ("Higher", below) if below >= 50 else ("Lower", 100 - below)
    return f"{word} than about {share} % of the {rows} {cases} in the data."


def share_below(value: float, percentiles: Sequence[float]) -> int:
    """How many of 100 targets are lower, from 1 to 99: percentiles tell no more of the ends."""
    low, high = bisect_left(percentiles, value), bisect_right(percentiles, value)
    return min(max(round((low + high - 1) / 2), 1), 99)
