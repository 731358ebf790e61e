"""One input with the answers of two versions: a line for each part of the answers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from predictions.comparison.agreement import Pair, agreements
from predictions.models import Prediction, State
from predictions.web.answer import AnswerPresenter, SeveralAnswers, present
from predictions.web.formatting import number_text, probability_text, range_text

NONE = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class Line:
    label: str
    before: str
    after: str

    @property
    def differs(self) -> bool:
        return self.before != self.after


class DifferencePresenter:
    """A prediction, and a later one of the same values by another version."""

    def __init__(self, before: Prediction, after: Prediction) -> None:
        self._before, self._after = before, after
        self.before_number, self.after_number = before.version.number, after.version.number

    @property
    def is_answered(self) -> bool:
        return self._after.state == State.SUCCEEDED

    @property
    def sentence(self) -> str:
        found = agreements([Pair(self._before.pk, {}, self._before.output or {}, self._after.output)])
        if not found:
            return gettext("The two versions answer different questions.")
        apart = [agreement.name for agreement in found if agreement.differing]
        if not apart:
            return gettext("Both versions give the same answer, or the second lies within the interval of the first.")
        if not any(apart):
            return gettext("The answers differ.")
        return gettext("The answers differ: %(names)s.") % {"names": ", ".join(apart)}

    @property
    def lines(self) -> list[Line]:
        before, after = (_texts(row) for row in (self._before, self._after))
        labels = dict.fromkeys([*before, *after])
        return [Line(label, before.get(label, NONE), after.get(label, NONE)) for label in labels]


def _texts(row: Prediction) -> dict[str, str]:
    """The parts of an answer by their names, in the order of the page."""
    if row.output is None:
        return {}
    shown = present(row.output, row.version)
    outputs: Mapping[str, Any] = row.output.get("outputs") or {}
    if isinstance(shown, SeveralAnswers):
        pairs = zip(shown.parts, outputs.values(), strict=True)
        return {f"{part.name}: {label}": text for part, output in pairs for label, text in _parts(part, output)}
    return dict(_parts(shown, row.output))


def _parts(answer: AnswerPresenter, output: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if output["kind"] == "classification":
        yield gettext("Answer"), answer.value_text
    else:
        yield gettext("Answer"), number_text(output["value"])
    if interval := output.get("interval"):
        yield gettext("Interval"), range_text(number_text(interval[0]), number_text(interval[1]))
    for label, share in (output.get("probabilities") or {}).items():
        yield gettext("Share of %(label)s") % {"label": label}, probability_text(share)
    if answer.grade_text:
        yield gettext("How sure"), answer.grade_text
