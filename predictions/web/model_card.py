"""The evidence of a version for its model card: each share with its count and interval, each drawing with its table."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy, ngettext

from predictions.models import ModelVersion
from predictions.serving.artifacts.sureness import SET_COVERAGES, rows_needed
from predictions.web import charts
from predictions.web.figures import VersionPresenter
from predictions.web.formatting import (
    frequency_text,
    number_text,
    percent_text,
    probability_text,
    range_text,
    rounded_text,
    share_text,
)
from predictions.web.sureness import GRADES

IMPORTANCES = 15
PART_TITLES: Mapping[str, str | Promise] = {
    "calibration": gettext_lazy("Calibration"),
    "sets": gettext_lazy("How sure"),
    "interval": gettext_lazy("Interval"),
    "difficulty": gettext_lazy("Difficulty"),
    "gate": gettext_lazy("Experience"),
}


class CardPresenter(VersionPresenter):
    """Everything that a model card shows of one version. A part is empty if the data did not suffice for it."""

    def __init__(self, version: ModelVersion, target: int | None = None) -> None:
        super().__init__(version, target)
        manifest = self.manifest
        self.task: str = manifest["task"]
        self.labels: list[str] = manifest.get("labels", [])
        self.rows: Mapping[str, int] = {"training": 0, "held_out": 0, **manifest.get("rows", {})}
        self._figures: Mapping[str, Any] = manifest.get("figures") or {}
        self._sureness: Mapping[str, Any] = manifest.get("sureness") or {}
        self._signature = version.signature
        self._profile = version.profile.get("features", {})
        self.unit: str = (manifest.get("target") or {}).get("unit") or ""

    # --- Classification -----------------------------------------------------------------------------------------------
    @property
    def confusion(self) -> list[dict[str, Any]]:
        """A line for each true class: how many of its cases got each answer, and how many the right one."""
        table: Sequence[Sequence[int]] = self._figures.get("confusion", [])
        return [
            {
                "label": label,
                "cells": [{"count": count, "is_right": place == answered} for answered, count in enumerate(counts)],
                "share": share_text(counts[place], sum(counts)),
            }
            for place, (label, counts) in enumerate(zip(self.labels, table, strict=False))
        ]

    @property
    def reliability(self) -> list[dict[str, Any]]:
        return [
            {
                "x": charts.Axis(0.0, 1.0).x(one["mean"]),
                "y": charts.Axis(0.0, 1.0).y(one["right"] / one["of"]),
                "said": range_text(percent_text(one["low"]), percent_text(one["high"])),
                "mean": probability_text(one["mean"]),
                "share": share_text(one["right"], one["of"]),
            }
            for one in self._figures.get("reliability", [])
            if one["of"]
        ]

    # --- Regression ---------------------------------------------------------------------------------------------------
    @property
    def answers(self) -> dict[str, Any] | None:
        """A scatter plot of answers (upwards) against true values (across); None if there is no plot to draw."""
        pairs: Sequence[Sequence[float]] = self._figures.get("answers", [])
        drawn = charts.scatter(pairs)
        if drawn is None:
            return None
        axis, points = drawn
        errors = sorted(abs(answer - true) for true, answer in pairs)
        return {
            "points": points,
            "low": number_text(axis.low),
            "high": number_text(axis.high),
            "count": len(points),
            "errors": [
                {
                    "share": gettext("%(count)s in 10") % {"count": share},
                    "error": number_text(errors[math.ceil(len(errors) * share / 10) - 1]),
                }
                for share in (5, 8, 9, 10)
            ],
        }

    # --- Promises -----------------------------------------------------------------------------------------------------
    @property
    def promises(self) -> list[dict[str, str]]:
        """Each promised coverage, and that of a half of the held-out cases by the limits of the other half."""
        sets, interval = self._sureness.get("sets"), self._sureness.get("interval")
        if sets:
            return [
                _promise(label, sets["coverage"], measured)
                for label, measured in zip(self.labels, sets["measured"], strict=False)
            ]
        return [_promise(gettext("Interval"), interval["coverage"], interval["measured"])] if interval else []

    @property
    def promise_limit(self) -> str:
        """The reason why no higher coverage is promised; empty if the highest one is promised."""
        sets = self._sureness.get("sets") or {}
        higher = [coverage for coverage in SET_COVERAGES if coverage > sets.get("coverage", 1.0)]
        if not higher:
            return ""
        rows = min(sets["rows"])
        text = gettext(
            "More is not promised, because %(label)s has only %(rows)s held-out cases: %(often)s would need %(needed)s"
            " of each class."
        )
        shown = {"label": self.labels[sets["rows"].index(rows)], "rows": rows, "needed": rows_needed(higher[-1])}
        return text % {**shown, "often": frequency_text(higher[-1])}

    @property
    def grades(self) -> list[dict[str, str]]:
        """For each grade and class, how many held-out answers were right; for each grade alone in older versions."""
        by_class: Mapping[str, Sequence[Mapping[str, int]]] = self._sureness.get("class_evidence", {})
        pooled: Mapping[str, Mapping[str, int]] = self._sureness.get("evidence", {})
        found = [
            (f"{GRADES[grade]}: {label}", one)
            for grade, counts in by_class.items()
            for label, one in zip(self.labels, counts, strict=True)
        ]
        found += [(str(GRADES[grade]), one) for grade, one in pooled.items() if grade in GRADES]
        return [{"grade": said, "share": share_text(one["right"], one["of"])} for said, one in found if one["of"]]

    @property
    def gate_text(self) -> str:
        gate = (self._version.manifest.get("sureness") or {}).get("gate")
        if not gate or not gate["held_out"]:
            return ""
        outside = gate["held_out_outside"]
        text = ngettext(
            "%(outside)s of %(of)s held-out cases counts as outside its experience.",
            "%(outside)s of %(of)s held-out cases count as outside its experience.",
            outside,
        )
        return text % {"outside": outside, "of": gate["held_out"]}

    @property
    def calibration_text(self) -> str:
        found = self._sureness.get("calibration")
        if not found:
            return ""
        before, after = number_text(found["log_loss_before"]), number_text(found["log_loss_after"])
        text = gettext(
            "The probabilities are calibrated (%(method)s, %(rows)s held-out cases): the log loss fell from %(before)s"
            " to %(after)s."
        )
        return text % {"method": found["method"], "rows": found["rows"], "before": before, "after": after}

    @property
    def notes(self) -> list[dict[str, str]]:
        """The parts of the evidence that could not be computed, and why."""
        return [
            {"title": str(PART_TITLES.get(part, part)), "text": text}
            for part, text in self._sureness.get("notes", {}).items()
        ]

    # --- Features -----------------------------------------------------------------------------------------------------
    @property
    def importances(self) -> list[dict[str, Any]]:
        found: Mapping[str, float] = self._figures.get("importances", {})
        most = max([*found.values(), 0.0])
        ranked = sorted(found.items(), key=lambda pair: -pair[1])[:IMPORTANCES]
        return [
            {
                "label": self._signature.by_name[name].label,
                "width": round(max(value, 0.0) / most * charts.WIDTH, 2) if most else 0.0,
                "text": self._loss_text(value),
            }
            for name, value in ranked
            if name in self._signature.by_name
        ]

    def _loss_text(self, value: float) -> str:
        if self.labels:
            return gettext("%(points)s in 100") % {"points": rounded_text(value * 100, -1)}
        return f"{number_text(value)} {self.unit}".strip()

    @property
    def distributions(self) -> list[dict[str, Any]]:
        found = []
        for feature in self._signature.features:
            seen = self._profile.get(feature.name, {})
            missing = seen.get("missing", 0.0)
            line = {
                "label": feature.label,
                "unit": feature.unit,
                "missing": percent_text(missing, 1) if missing else "",
            }
            if "counts" in seen:
                low, middle, high = seen["minimum"], seen["deciles"][5], seen["maximum"]
                texts = dict(zip(("low", "middle", "high"), map(number_text, (low, middle, high)), strict=True))
                found.append({**line, **texts, "path": charts.outline(seen["counts"])})
            elif seen.get("categories"):
                labels = dict(feature.choices) if hasattr(feature, "choices") else {}
                counts = [(str(labels.get(value, value)), count) for value, count in seen["categories"][:5]]
                found.append({**line, "categories": ", ".join(f"{name}: {count}" for name, count in counts)})
        return found


def _promise(label: str, promised: float, measured: Mapping[str, int]) -> dict[str, str]:
    of = measured["of"]
    return {
        "label": label,
        "promised": frequency_text(promised),
        "counted": share_text(measured["covered"], of),
        "expected": gettext("%(low)s to %(high)s of %(of)s")
        % {"low": measured["low"], "high": measured["high"], "of": of},
    }
