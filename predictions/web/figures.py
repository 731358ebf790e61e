"""Models and versions as pages show them: how good a version is, in words and numbers."""

from collections.abc import Callable, Mapping
from typing import Any, Self

from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy, ngettext

from predictions.lifecycle import registry
from predictions.models import ModelVersion, RegisteredModel
from predictions.web.formatting import (
    count_of_text,
    number_text,
    percent_text,
    score_text,
    share_interval_text,
    share_text,
)

# metric in version.json → label, formatter, meaning
METRICS: Mapping[str, tuple[str | Promise, Callable[[float], str], str | Promise]] = {
    "accuracy": (gettext_lazy("Right answers"), percent_text, gettext_lazy("accuracy")),
    "balanced_accuracy": (
        gettext_lazy("Right answers, each class counted alike"),
        percent_text,
        gettext_lazy("balanced accuracy; the counts are in the model card"),
    ),
    "roc_auc": (
        gettext_lazy("Ranks the classes apart"),
        score_text,
        gettext_lazy("area under the ROC curve; 0.5 is guessing, 1 is perfect"),
    ),
    "log_loss": (gettext_lazy("Surprise at the truth"), number_text, gettext_lazy("log loss; smaller is better")),
    "baseline_accuracy": (
        gettext_lazy("Always naming the most common class"),
        percent_text,
        gettext_lazy("the baseline to beat"),
    ),
    "r2": (
        gettext_lazy("How much of the spread is explained"),
        score_text,
        gettext_lazy("R²; 0 is the mean alone, 1 is all"),
    ),
    "mae": (gettext_lazy("Typical error"), number_text, gettext_lazy("mean absolute error")),
    "rmse": (
        gettext_lazy("Typical error, large ones weigh more"),
        number_text,
        gettext_lazy("root mean squared error"),
    ),
    "baseline_mae": (
        gettext_lazy("Typical error of always answering the mean"),
        number_text,
        gettext_lazy("the baseline to beat"),
    ),
    "baseline_rmse": (
        gettext_lazy("Root mean squared error of the mean"),
        number_text,
        gettext_lazy("the baseline to beat"),
    ),
}
# With more classes than this, the counts of each class are only in the model card.
MOST_CLASSES = 4
HEADLINES: Mapping[str, tuple[str, str | Promise]] = {
    "classification": ("accuracy", gettext_lazy("right on data it had not seen")),
    "regression": ("mae", gettext_lazy("typical error")),
}


class VersionPresenter:
    """One version, or one of its several targets if `target` gives the position of that target."""

    def __init__(self, version: ModelVersion, target: int | None = None) -> None:
        self._version = version
        self.manifest: Mapping[str, Any] = version.manifest if target is None else version.views[target]
        self.target_name: str = "" if target is None else self.manifest["target"]["name"]
        self.suffix = "" if target is None else f"-{target + 1}"
        self.number = version.number
        self.created_at = version.created_at
        self.unavailable_reason = version.unavailable_reason
        self.remarks: list[str] = version.manifest.get("remarks", [])
        self._measured: dict[str, float] = self.manifest["metrics"]

    @property
    def parts(self) -> list[Self]:
        """A presenter for each target; only this one if the version has a single target."""
        return [type(self)(self._version, place) for place in range(len(self._version.views))] or [self]

    @property
    def headline(self) -> dict[str, str] | None:
        metric, label = HEADLINES.get(self.manifest["task"], ("", ""))
        if metric not in self._measured:
            return None
        if metric == "accuracy" and (counted := self._counted()):
            return counted
        unit = self.manifest["target"].get("unit") or "" if metric == "mae" else ""
        if self.held_out and metric == "mae":
            text = ngettext(
                "typical error in %(count)s case it had not seen",
                "typical error in %(count)s cases it had not seen",
                self.held_out,
            )
            label = text % {"count": self.held_out}
        return {"value": f"{METRICS[metric][1](self._measured[metric])} {unit}".strip(), "label": str(label)}

    def _counted(self) -> dict[str, str] | None:
        """The accuracy as counts. A share without the number of cases would claim more than is known."""
        of = self.held_out
        if not of:
            return None
        right = round(self._measured["accuracy"] * of)
        label = gettext("right on data it had not seen (%(interval)s)") % {"interval": share_interval_text(right, of)}
        return {"value": count_of_text(right, of), "label": label}

    @property
    def held_out(self) -> int:
        """The number of rows on which the version was measured; 0 if it was not recorded."""
        return int(self.manifest.get("rows", {}).get("held_out", 0))

    @property
    def metrics_rows(self) -> list[dict[str, str]]:
        return [
            {"label": str(label), "value": self._value(name, written), "help": self._meaning(name) or str(meaning)}
            for name, (label, written, meaning) in METRICS.items()
            if name in self._measured
        ]

    def _meaning(self, name: str) -> str:
        """The shares whose mean is the balanced accuracy, with counts; empty for other metrics and for many classes."""
        table = (self.manifest.get("figures") or {}).get("confusion", [])
        if name != "balanced_accuracy" or not 0 < len(table) <= MOST_CLASSES:
            return ""
        shares = [share_text(counts[place], sum(counts)) for place, counts in enumerate(table)]
        return gettext("balanced accuracy, the mean of %(shares)s") % {"shares": ", ".join(shares)}

    def _value(self, name: str, written: Callable[[float], str]) -> str:
        if name in ("accuracy", "baseline_accuracy") and self.held_out:
            return share_text(round(self._measured[name] * self.held_out), self.held_out)
        return written(self._measured[name])


class ModelPresenter:
    def __init__(self, model: RegisteredModel) -> None:
        self.name = model.name
        self.title = model.title
        self.summary = model.summary
        self.get_task_display: Any = model.get_task_display
        self.champion = VersionPresenter(model.champion) if model.champion else None
        self.is_available = registry.champion(model) is not None
