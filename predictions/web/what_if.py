"""A what-if for the templates: another answer beside this one, curves, and the smallest single change."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.utils.translation import gettext, ngettext

from predictions.explanations import requests
from predictions.serving.schema.errors import InvalidInput
from predictions.serving.schema.signature import Value
from predictions.web import charts
from predictions.web.answer import AnswerPresenter, SeveralAnswers, present
from predictions.web.explanation import ComputationPresenter, with_unit
from predictions.web.formatting import number_text, percent_text, probability_text
from predictions.web.localized import localized
from predictions.web.number_input import Unreadable
from predictions.web.values import read_value

CURVES = 3


class InvalidChange(ValueError):
    """The message says what is wrong with the value."""


class WhatIfPresenter(ComputationPresenter):
    route = "what-if"

    def __init__(self, *args: Any, feature: str = "", text: str = "", problem: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        self.chosen, self.text, self.problem = feature, text, problem
        self._signature = self._row.version.signature
        self.features = [
            {"name": one.name, "label": one.label, "unit": one.unit, "is_chosen": one.name == feature}
            for one in self._signature.features
        ]

    @property
    def poll_url(self) -> str:
        asked = {"feature": self.chosen, "value": self.text} if self.chosen else {}
        return f"{self.url}?{urlencode({**asked, 'attempt': self.next_attempt})}"

    @property
    def before(self) -> AnswerPresenter | SeveralAnswers:
        return self._answer(self._row.output or {})

    @property
    def after(self) -> AnswerPresenter | SeveralAnswers | None:
        output = self._result.get("changed")
        return self._answer(output) if output else None

    @property
    def change(self) -> str:
        """The smallest single change that was found, in a sentence; empty if none was tried."""
        found = self._result.get("change")
        if self.before.kind == "multi":
            return gettext("With several answers, the smallest change is not looked for.")
        if not found:
            return self._no_change
        feature = self._signature.by_name[found["feature"]]
        old, new = with_unit(feature, found["from"]), with_unit(feature, found["to"])
        text = gettext(
            "If %(feature)s were %(new)s instead of %(old)s, and all else the same, it would answer: %(answer)s."
        )
        then = self._answer(found["output"]).text
        return text % {"feature": feature.label, "new": new, "old": old, "answer": then}

    @property
    def _no_change(self) -> str:
        if self.before.kind == "regression" and not self.before.interval:
            return gettext("This answer has no interval, so the smallest change is not looked for.")
        # Results of earlier releases do not say what was tried.
        tried = self._result.get("tried")
        if not tried or not tried["values"]:
            return ""
        if self.before.kind == "classification":
            text = gettext("None of the single changes that were tried gives another answer: %(tried)s.")
        else:
            text = gettext(
                "None of the single changes that were tried gives an answer outside the interval of this one:"
                " %(tried)s."
            )
        return text % {"tried": self._tried_text(tried)}

    def _tried_text(self, tried: Mapping[str, int]) -> str:
        every = len(self._signature.features)
        values = ngettext("%(count)s value", "%(count)s values", tried["values"])
        inputs = ngettext("%(count)s of %(all)s input", "%(count)s of %(all)s inputs", every)
        shown = {
            "values": values % {"count": tried["values"]},
            "inputs": inputs % {"count": tried["features"], "all": every},
        }
        return gettext("%(values)s for %(inputs)s") % shown

    @property
    def curves(self) -> list[dict[str, Any]]:
        found = [curve for curve in self._result.get("curves", []) if curve["moves"] > 0][:CURVES]
        heights = self._heights(found)
        return [self._curve(curve, heights) for curve in found] if heights else []

    def _heights(self, curves: Any) -> charts.Axis | None:
        """One axis for all curves: probabilities from 0 to 1, values from the lowest to the highest."""
        if self.before.kind == "classification":
            return charts.Axis(0.0, 1.0)
        return charts.axis_over([point["y"] for curve in curves for point in curve["points"]])

    def _curve(self, curve: Mapping[str, Any], heights: charts.Axis) -> dict[str, Any]:
        feature = self._signature.by_name[curve["feature"]]
        points, own = curve["points"], curve["own"]
        known = [point["x"] for point in points] + ([own] if own is not None else [])
        axis = charts.Axis(min(known), max(known))
        steps = [f"{axis.x(point['x']):g} {heights.y(point['y']):g}" for point in points]
        is_number = self.before.kind == "regression"
        write, write_end = (number_text, number_text) if is_number else (probability_text, percent_text)
        return {
            "label": feature.label,
            "unit": feature.unit,
            "path": "M" + "L".join(steps),
            "own_x": axis.x(own) if own is not None else None,
            "own_text": with_unit(feature, own),
            "inside_x": axis.x(curve["low"]),
            "outside_x": axis.x(curve["high"]),
            "outside_width": round(charts.WIDTH - axis.x(curve["high"]), 2),
            "low": number_text(axis.low),
            "high": number_text(axis.high),
            "top": write_end(heights.high),
            "bottom": write_end(heights.low),
            "table": [
                {
                    "x": number_text(point["x"]),
                    "y": write(point["y"]),
                    "is_guess": not curve["low"] <= point["x"] <= curve["high"],
                }
                for point in points
            ],
        }

    @property
    def curve_title(self) -> str:
        if self.before.kind == "classification":
            text = gettext("How probable %(answer)s is, for other values of one input")
            return text % {"answer": self.before.value_text}
        return gettext("The answer, for other values of one input")

    def _answer(self, output: Mapping[str, Any]) -> AnswerPresenter | SeveralAnswers:
        return present(output, self._row.version)


def changed_row(prediction: Any, name: str, text: str) -> list[Value]:
    """The row of the prediction with one other value, cleaned.

    Raises:
        InvalidChange: there is no such feature, or it cannot have this value.
    """
    feature = prediction.version.signature.by_name.get(name)
    if feature is None:
        raise InvalidChange(gettext("Choose a value to change."))
    try:
        return requests.changed_row(prediction, {name: read_value(feature, text)})
    except Unreadable as error:
        raise InvalidChange(str(error)) from None
    except InvalidInput as error:
        raise InvalidChange(f"{feature.label}: {localized(error.problems[0].message)}") from None
