"""How sure an answer is, in sentences. Each sentence follows from facts in the prediction's `output` alone.

Shares are natural frequencies ("about 7 in 10") among cases like those that the version was tested on. A conformal set
or interval promises no more. A sentence is left out if `output` lacks its facts. Rows of older versions have no grade,
and the answer itself was always added to their sets, so a set of one label says nothing there.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy, ngettext, ngettext_lazy

from predictions.web.formatting import frequency_text, interval_text, probability_text, range_text

# The two likeliest classes are a tie if their probabilities differ by no more than this.
TIE = 0.01
# Fewer test cases than this are given as counts only. A share would claim more than so few cases show.
ENOUGH_FOR_A_SHARE = 20
# A sentence names at most this many classes.
NAMED = 5

OUTSIDE = gettext_lazy(
    "Do not rely on this answer. The values are unlike the cases that the model learned from, and how often its answers"
    " are right for such values is not known."
)
GRADES: Mapping[str, str | Promise] = {
    "clear": gettext_lazy("Clear"),
    "uncertain": gettext_lazy("Uncertain"),
    "outside": gettext_lazy("Outside its experience"),
}
# The grades in lower case, for use within a line.
GRADE_NOTES: Mapping[str, str | Promise] = {
    "clear": gettext_lazy("clear"),
    "uncertain": gettext_lazy("uncertain"),
    "outside": gettext_lazy("outside its experience"),
}
USUAL = gettext_lazy("The case is like those that the model learned from.")
UNUSUAL = gettext_lazy("The case differs from those that the model learned from.")
CLUSTER = gettext_lazy(
    "The name of the group of training cases that this case belongs to. It is a name, not a measured value."
)
# Sentences about such held-out answers: the first if all were right, the second if some were wrong.
COUNTED = (
    ngettext_lazy(
        "Such answers were right in %(right)s of %(of)s case it had not seen",
        "Such answers were right in %(right)s of %(of)s cases it had not seen",
        "of",
    ),
    ngettext_lazy(
        "Such answers were right in %(right)s of %(of)s case it had not seen, and wrong in %(wrong)s",
        "Such answers were right in %(right)s of %(of)s cases it had not seen, and wrong in %(wrong)s",
        "of",
    ),
)
UNLIKE = (
    ngettext_lazy(
        "Answers for such values were right in %(right)s of %(of)s case it had not seen",
        "Answers for such values were right in %(right)s of %(of)s cases it had not seen",
        "of",
    ),
    ngettext_lazy(
        "Answers for such values were right in %(right)s of %(of)s case it had not seen, and wrong in %(wrong)s",
        "Answers for such values were right in %(right)s of %(of)s cases it had not seen, and wrong in %(wrong)s",
        "of",
    ),
)


def sentences(output: Mapping[str, Any], task: str = "") -> list[str]:
    """Sentences about this answer, the most important first. The warning OUTSIDE is not among them."""
    if is_outside(output):
        return [*_own_rule(output), *_evidence(output, UNLIKE)]
    if task == "outliers":
        return [str(UNUSUAL if output.get("label") == "unusual" else USUAL)]
    if task == "clusters":
        return [str(CLUSTER)]
    return _of_class(output) if output["kind"] == "classification" else _of_number(output)


def grade_text(output: Mapping[str, Any]) -> str:
    """The grade as a word; empty for an answer without a grade."""
    return str(GRADES.get(output.get("grade") or "", ""))


def grade_note(output: Mapping[str, Any]) -> str:
    """The grade as a word within a line."""
    return str(GRADE_NOTES.get(output.get("grade") or "", ""))


def is_outside(output: Mapping[str, Any]) -> bool:
    return output.get("grade") == "outside"


# --- Classification ---------------------------------------------------------------------------------------------------
def _of_class(output: Mapping[str, Any]) -> list[str]:
    grade = output.get("grade")
    if grade == "clear":
        return [*_own_rule(output), *_tie(output), *_evidence(output, COUNTED), *_set(output)]
    said = [*_own_rule(output), *_tie(output), *_set(output)]
    return said + _evidence(output, COUNTED) if grade == "uncertain" else said


def ranked(shares: Mapping[str, float]) -> list[tuple[str, float]]:
    """The labels with their probabilities, the most probable first, and equally probable ones by name."""
    return sorted(shares.items(), key=lambda pair: (-pair[1], pair[0]))


def _own_rule(output: Mapping[str, Any]) -> list[str]:
    """An estimator may answer a class that is not the most probable one: it may weight classes, or have a threshold.
    After calibration its own rule shows. Of classes that tie, any may be the answer."""
    shares, answer = output.get("probabilities") or {}, output.get("label")
    if answer not in shares:
        return []
    likeliest, high = ranked(shares)[0]
    if high - shares[answer] <= TIE:
        return []
    text = gettext(
        "The model answers %(answer)s by its own rule, although %(likeliest)s is more probable: %(high)s against"
        " %(low)s."
    )
    shown = {"high": probability_text(high), "low": probability_text(shares[answer])}
    return [text % {"answer": answer, "likeliest": likeliest, **shown}]


def _tie(output: Mapping[str, Any]) -> list[str]:
    likeliest = ranked(output.get("probabilities") or {})
    tied = [(label, share) for label, share in likeliest if likeliest[0][1] - share <= TIE]
    if len(tied) < 2:
        return []
    if len(tied) == 2:
        (first, high), (second, low) = tied
        text = gettext("A tie: %(first)s has %(high)s and %(second)s %(low)s. Either may be right.")
        shown = {"high": probability_text(high), "low": probability_text(low)}
        return [text % {"first": first, "second": second, **shown}]
    text = gettext("A tie: %(labels)s have %(shares)s each. Any of them may be right.")
    return [text % {"labels": _named([label for label, _ in tied]), "shares": _range(tied)}]


def _range(tied: Sequence[tuple[str, float]]) -> str:
    low, high = probability_text(tied[-1][1]), probability_text(tied[0][1])
    return high if low == high else range_text(low, high)


def _set(output: Mapping[str, Any]) -> list[str]:
    labels, grade = output.get("prediction_set"), output.get("grade")
    if labels is None or output.get("coverage") is None:
        return []
    often = frequency_text(output["coverage"])
    if len(labels) > 1:
        text = _several(is_answer_among=output["label"] in labels)
        return [text % {"labels": _named(labels), "often": often}]
    if grade == "uncertain":
        return [_unsure(output["label"], labels) % {"label": "".join(labels), "often": often}]
    if grade == "clear" and labels and not _tie(output):
        text = gettext(
            "A clear case: only %(label)s fits. The true answer fits in %(often)s cases like those it was tested on."
        )
        return [text % {"label": labels[0], "often": often}]
    return []


def _several(*, is_answer_among: bool) -> str:
    if is_answer_among:
        return gettext(
            "The model cannot tell between %(labels)s. The true answer is among them in %(often)s cases like those it"
            " was tested on."
        )
    return gettext(
        "The model cannot tell between %(labels)s, and its own answer is not among them. The true answer is among them"
        " in %(often)s cases like those it was tested on."
    )


def _unsure(answer: str, labels: Sequence[str]) -> str:
    """The text for a set that holds no class, or a class that does not make the answer clear."""
    if not labels:
        return gettext(
            "The model is unusually unsure. The true answer fits well enough in %(often)s cases like those it was"
            " tested on; here no answer does."
        )
    if labels[0] == answer:
        return gettext("Only %(label)s fits, but answers of %(label)s were wrong too often to call this a clear case.")
    return gettext(
        "The answer itself does not fit: only %(label)s does. The true answer fits in %(often)s cases like those it"
        " was tested on."
    )


def _named(labels: Sequence[str]) -> str:
    if len(labels) > NAMED:
        more = {"labels": ", ".join(labels[:NAMED]), "count": len(labels) - NAMED}
        return gettext("%(labels)s and %(count)s more") % more
    return gettext("%(labels)s and %(last)s") % {"labels": ", ".join(labels[:-1]), "last": labels[-1]}


def _evidence(output: Mapping[str, Any], texts: tuple[str | Promise, str | Promise]) -> list[str]:
    found = output.get("grade_evidence")
    if not found:
        return []
    right, of = found["right"], found["of"]
    if not of:
        return [gettext("No case that it was tested on got such an answer, so how often it is right is not known.")]
    counted = texts[of > right] % {"right": right, "of": of, "wrong": of - right}
    if of < ENOUGH_FOR_A_SHARE:
        return [f"{counted}."]
    return [gettext("%(counted)s: %(often)s were right.") % {"counted": counted, "often": frequency_text(right / of)}]


# --- Regression -------------------------------------------------------------------------------------------------------
def _of_number(output: Mapping[str, Any]) -> list[str]:
    if not output.get("interval") or output.get("coverage") is None:
        return []
    _, low, high = interval_text(output["value"], *output["interval"])
    often = frequency_text(output["coverage"])
    text = gettext("The true value lies between %(low)s and %(high)s in %(often)s cases like those it was tested on.")
    return [text % {"low": low, "high": high, "often": often}, *_held(output)]


def _held(output: Mapping[str, Any]) -> list[str]:
    found = output.get("grade_evidence")
    if not found or not found["of"]:
        return []
    text = ngettext(
        "In %(right)s of %(of)s case it had not seen, the true value lay inside such an interval.",
        "In %(right)s of %(of)s cases it had not seen, the true value lay inside such an interval.",
        found["of"],
    )
    return [text % {"right": found["right"], "of": found["of"]}]
