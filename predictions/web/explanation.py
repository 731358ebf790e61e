"""An explanation for the templates: signed bars against typical cases, and a sentence. It never claims a cause."""

from collections.abc import Mapping
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext, ngettext

from predictions.models import Computation, Prediction
from predictions.serving.schema.errors import ERRORS
from predictions.serving.schema.estimates import estimate_text
from predictions.serving.schema.signature import Feature, Value
from predictions.web.formatting import MINUS, number_text
from predictions.web.localized import localized
from predictions.web.values import value_text

BARS = 5
NOTHING = 1e-12


class ComputationPresenter:
    """The base of explanations and what-ifs: their state, and how a page polls for them."""

    route = ""

    def __init__(self, prediction: Prediction, found: Computation | None, *, attempt: int, delay_ms: int, capped: bool):
        self._row = prediction
        self._result: Mapping[str, Any] = (found.result if found else None) or {}
        self.id = str(prediction.pk)
        self.model_title = prediction.version.registered_model.title
        self.prediction_url = reverse("prediction", args=[prediction.pk])
        self.url = reverse(self.route, args=[prediction.pk])
        self.has_answer = found is not None
        self.is_ready = found is not None and found.is_terminal
        self.is_polling = found is not None and not found.is_terminal and not capped
        self.delay_ms = delay_ms
        self.next_attempt = attempt + 1
        known = ERRORS.get(found.error_code) if found else None
        self.error = localized(known.sentence) if known else ""

    @property
    def poll_url(self) -> str:
        return f"{self.url}?attempt={self.next_attempt}"


class ExplanationPresenter(ComputationPresenter):
    route = "explanation"

    @property
    def reason(self) -> str:
        """Why there is no explanation; empty if there is one."""
        return localized(self._result.get("reason", ""))

    @property
    def bars(self) -> list[dict[str, Any]]:
        """The features that moved the answer most, then all others together."""
        ranked = self._ranked
        shown = [self._bar(self._feature(name), share) for name, share in ranked[:BARS]]
        rest = ranked[BARS:]
        if rest:
            total = sum(share for _, share in rest)
            shown.append({"label": _together(len(rest)), "share": total, "text": self._text(total)})
        most = max((abs(bar["share"]) for bar in shown), default=0.0) or 1.0
        return [{**bar, **_geometry(bar["share"] / most)} for bar in shown]

    @property
    def sentence(self) -> str:
        if not self._ranked or abs(self._ranked[0][1]) < NOTHING:
            return gettext("No value of this case moves the answer away from that for the cases it is compared with.")
        name, share = self._ranked[0]
        feature = self._feature(name)
        shown = {"feature": feature.label, "own": self._own(feature), "size": f"{_two_digits(share)}{self._unit}"}
        return self._moved(share) % {**shown, "label": self._result.get("label")}

    def _moved(self, share: float) -> str:
        if self._result["scale"] == "value":
            if share > 0:
                return gettext("%(feature)s of %(own)s moved the answer most: up by %(size)s.")
            return gettext("%(feature)s of %(own)s moved the answer most: down by %(size)s.")
        if share > 0:
            return gettext("%(feature)s of %(own)s moved the answer most: towards %(label)s.")
        return gettext("%(feature)s of %(own)s moved the answer most: away from %(label)s.")

    @property
    def base_text(self) -> str:
        """The sentence with the value at which the bars begin, and the answer at which they end."""
        write = _points if self._result["scale"] == "probability" else number_text
        shown = {"rows": self._result["rows"], "label": self._result.get("label")}
        base, answer = write(self._result["base"]), write(self._result["answer"])
        if self._result["scale"] == "value":
            base = f"{base}{self._unit}"
        return self._compared % {**shown, "base": base, "answer": answer}

    @property
    def _compared(self) -> str:
        rows = self._result["rows"]
        if self._result["scale"] == "value":
            return ngettext(
                "Compared with %(rows)s case that it learned from: the answer to it is %(base)s, this one is"
                " %(answer)s.",
                "Compared with %(rows)s cases that it learned from: their mean answer is %(base)s, this one is"
                " %(answer)s.",
                rows,
            )
        if self._result["scale"] == "probability":
            return ngettext(
                "Compared with %(rows)s case that it learned from: it gives %(label)s %(base)s in 100 for that case,"
                " and %(answer)s in 100 here.",
                "Compared with %(rows)s cases that it learned from: on average it gives %(label)s %(base)s in 100 for"
                " them, and %(answer)s in 100 here.",
                rows,
            )
        return ngettext(
            "Compared with %(rows)s case that it learned from, in log-odds of %(label)s: %(base)s for that case,"
            " %(answer)s here; above 0 it is the likelier answer.",
            "Compared with %(rows)s cases that it learned from, in log-odds of %(label)s: %(base)s on average for them,"
            " %(answer)s here; above 0 it is the likelier answer.",
            rows,
        )

    @property
    def method_text(self) -> str:
        if self._result["method"] == "exact":
            return gettext("Computed exactly (Shapley values).")
        return gettext("Estimated from samples (Shapley values by permutations); the parts add up exactly.")

    @property
    def _ranked(self) -> list[tuple[str, float]]:
        found: Mapping[str, float] = self._result.get("contributions", {})
        return sorted(found.items(), key=lambda pair: -abs(pair[1]))

    @property
    def _unit(self) -> str:
        unit = (self._row.output or {}).get("unit")
        return f" {unit}" if unit else ""

    def _feature(self, name: str) -> Feature:
        return self._row.version.signature.by_name[name]

    def _own(self, feature: Feature) -> str:
        place = self._row.version.signature.names.index(feature.name)
        return with_unit(feature, self._row.values[place])

    def _bar(self, feature: Feature, share: float) -> dict[str, Any]:
        seen = self._row.version.profile.get("features", {}).get(feature.name, {})
        typical = typical_value(seen)
        return {
            "label": feature.label,
            "own": self._own(feature),
            "typical": with_unit(feature, typical) if typical is not None else "",
            "share": share,
            "text": self._text(share),
        }

    def _text(self, share: float) -> str:
        if self._result["scale"] == "probability":
            return gettext("%(points)s in 100") % {"points": _signed(share * 100)}
        return f"{_signed(share)}{self._unit if self._result['scale'] == 'value' else ''}"


def _together(count: int) -> str:
    return ngettext("%(count)s other value", "%(count)s other values together", count) % {"count": count}


def with_unit(feature: Feature, value: Value) -> str:
    return f"{value_text(feature, value)} {feature.unit}".rstrip() if value is not None else value_text(feature, value)


def typical_value(seen: Mapping[str, Any]) -> Value:
    """The median of a number, or the most common of other values; None if the training profile has neither."""
    if deciles := seen.get("deciles"):
        return float(f"{deciles[5]:.4g}")
    categories = seen.get("categories") or [[None, 0]]
    value: Value = categories[0][0]
    return value


def _points(share: float) -> str:
    return estimate_text(share, lambda one: number_text(round(one * 100, 1)))


def _signed(value: float) -> str:
    sign = MINUS if value < 0 else "+"
    return f"{sign}{_two_digits(value)}"


def _two_digits(value: float) -> str:
    """The absolute value with two significant digits: an explanation is no more precise than that."""
    return number_text(float(f"{abs(value):.2g}"))


def _geometry(share: float) -> dict[str, float]:
    """A bar that begins in the middle of a drawing 100 units wide. `share` is from -1 to 1."""
    width = round(abs(share) * 50, 2)
    return {"x": 50.0 if share >= 0 else round(50 - width, 2), "width": width}
