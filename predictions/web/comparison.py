"""Two predictions of one model side by side: the values that differ, both answers, and each part of them."""

import math
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, TypeAlias

from django.urls import reverse
from django.utils.translation import gettext, ngettext

from predictions.comparison.agreement import Pair, agreements, is_same_answer
from predictions.models import Prediction
from predictions.serving.schema.signature import Choice, Feature
from predictions.web.answer import AnswerPresenter, SeveralAnswers, present
from predictions.web.formatting import MINUS, number_text, precise_text, range_text
from predictions.web.presenters import PredictionPresenter
from predictions.web.values import value_text

# The text of a part of an answer, and its text with the digits that tell two of them apart.
PartTexts: TypeAlias = tuple[str, str]
NO_PART: PartTexts = ("\N{EN DASH}", "\N{EN DASH}")


class ComparisonPresenter:
    """Two predictions of one model. `earlier` was asked before `later`; different versions may have answered them."""

    def __init__(self, one: Prediction, other: Prediction) -> None:
        rows = sorted((one, other), key=lambda row: (row.created_at, row.pk))
        self._rows = rows
        self.earlier, self.later = (PredictionPresenter(row) for row in rows)
        self.sides = [
            {"name": gettext("Earlier"), "shown": self.earlier},
            {"name": gettext("Later"), "shown": self.later},
        ]
        self.model_title = self.later.model_title
        self.model_url = self.later.model_url

    @property
    def versions_text(self) -> str:
        """The sentence that names both versions; empty if one version gave both answers."""
        first, second = (row.version.number for row in self._rows)
        if first == second:
            return ""
        text = gettext("Different versions answered: version %(first)s the earlier, version %(second)s the later one.")
        return text % {"first": first, "second": second}

    @property
    def summary(self) -> str:
        """How many values differ, and whether the answers do."""
        count = len(self.different)
        text = ngettext("%(count)s of %(of)s values differs.", "%(count)s of %(of)s values differ.", count)
        values = text % {"count": count, "of": len(self._values)}
        first, second = self.earlier.answer, self.later.answer
        if first is None or second is None:
            return values
        if is_same_answer(*(row.output or {} for row in self._rows)):
            return f"{values} {gettext('The answer is the same.')}"
        texts = dict(zip(("first", "second"), texts_apart(first, second), strict=True))
        return f"{values} {gettext('The answer was %(first)s, and then %(second)s.') % texts}"

    @property
    def agreement(self) -> str:
        """Whether two versions agree on the same values; empty for other pairs."""
        first, second = (row.output for row in self._rows)
        if not first or not second or self.different or not self.versions_text:
            return ""
        found = agreements([Pair(self._rows[0].pk, {}, first, second)], self._rows[1].version.target_names)
        if not found:
            return gettext("The two versions answer different questions.")
        apart = [one.name for one in found if one.differing]
        if not apart:
            return gettext("Both versions give the same answer, or the second lies within the interval of the first.")
        return gettext("The answers differ: %(names)s.") % {"names": ", ".join(apart)} if any(apart) else ""

    @property
    def parts(self) -> list[dict[str, Any]]:
        """A line for each part of the two answers: value, interval, shares, grade. Empty if one has no answer."""
        first, second = (_parts_of(row) for row in self._rows)
        if not first or not second:
            return []
        pairs = {label: (first.get(label, NO_PART), second.get(label, NO_PART)) for label in [*first, *second]}
        return [{"label": label, **_part_line(*texts)} for label, texts in pairs.items()]

    @cached_property
    def _values(self) -> list[dict[str, Any]]:
        """One line for each input of either version, in the order of the later one's form."""
        first, second = (row.version.signature for row in self._rows)
        only_earlier = [one for one in first.features if one.name not in second.by_name]
        return [self._line(one) for one in [*second.features, *only_earlier]]

    def _line(self, feature: Feature) -> dict[str, Any]:
        given = [self._given(row, feature.name) for row in self._rows]
        return {
            "label": feature.label,
            "unit": feature.unit,
            "texts": [text for _, text in given],
            "is_same": given[0] == given[1],
            "difference": "" if isinstance(feature, Choice) else _difference(given[0][0], given[1][0]),
        }

    @staticmethod
    def _given(row: Prediction, name: str) -> tuple[Any, str]:
        """The value of an input in the row, and its text. The version of the row may not have this input."""
        signature = row.version.signature
        if name not in signature.by_name:
            return None, gettext("not asked for")
        value = row.values[signature.names.index(name)]
        return value, value_text(signature.by_name[name], value)

    @property
    def different(self) -> list[dict[str, Any]]:
        return [line for line in self._values if not line["is_same"]]

    @property
    def same(self) -> list[dict[str, Any]]:
        return [line for line in self._values if line["is_same"]]


class ChoicePresenter:
    """A result, and other results of the same model that it can be compared with."""

    def __init__(self, chosen: Prediction, others: list[Prediction]) -> None:
        self.chosen = PredictionPresenter(chosen)
        self.others = [self._other(chosen, other) for other in others]

    @staticmethod
    def _other(chosen: Prediction, other: Prediction) -> dict[str, Any]:
        return {
            "shown": PredictionPresenter(other),
            "url": compare_url(chosen, other),
            "count": len(ComparisonPresenter(chosen, other).different),
        }


def compare_url(*predictions: Prediction) -> str:
    return f"{reverse('compare')}?{'&'.join(f'id={one.pk}' for one in predictions)}"


def texts_apart(first: AnswerPresenter | SeveralAnswers, second: AnswerPresenter | SeveralAnswers) -> tuple[str, str]:
    """Two different answers in a line each. If rounding hides the difference, the numbers have more digits."""
    if first.text != second.text:
        return first.text, second.text
    pairs = [(first.written(write), second.written(write)) for write in (number_text, precise_text)]
    return next((pair for pair in pairs if pair[0] != pair[1]), pairs[-1])


def _difference(old: Any, new: Any) -> str:
    """The difference of two numbers, with its sign; empty for equal numbers, other values, and above every float."""
    numbers = [one for one in (old, new) if isinstance(one, int | float) and not isinstance(one, bool)]
    if len(numbers) < 2 or old == new or not math.isfinite(new - old):
        return ""
    return f"{'+' if new > old else MINUS}{number_text(abs(new - old))}"


def _part_line(first: PartTexts, second: PartTexts) -> dict[str, Any]:
    is_same = first[1] == second[1]
    place = int(first[0] == second[0] and not is_same)
    return {"texts": [first[place], second[place]], "is_same": is_same}


def _parts_of(row: Prediction) -> dict[str, PartTexts]:
    """The texts of an answer's parts by their names, in the order in which its page shows them."""
    if row.output is None:
        return {}
    shown = present(row.output, row.version)
    if isinstance(shown, SeveralAnswers):
        pairs = zip(shown.parts, row.version.parts(row.output).values(), strict=True)
        return {f"{part.name}: {label}": texts for part, output in pairs for label, texts in _parts(part, output)}
    return dict(_parts(shown, row.output))


def _parts(answer: AnswerPresenter, output: Mapping[str, Any]) -> Iterator[tuple[str, PartTexts]]:
    value = output.get("value")
    yield gettext("Answer"), _twice(answer.value_text) if value is None else (number_text(value), precise_text(value))
    if interval := output.get("interval"):
        rounded, precise = (range_text(*map(write, interval)) for write in (number_text, precise_text))
        yield gettext("Interval"), (rounded, precise)
    for bar in answer.bars:
        yield gettext("Share of %(label)s") % {"label": bar["label"]}, _twice(bar["percent"])
    if answer.grade_text:
        yield gettext("How sure"), _twice(answer.grade_text)


def _twice(text: str) -> PartTexts:
    return text, text
