"""Answers for the templates: name and value, how sure each is, its probabilities as bars, its place on an axis."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext

from predictions.models import ModelVersion
from predictions.web import charts, sureness
from predictions.web.formatting import interval_text, number_text, probability_text, range_text
from predictions.web.standing import standing

# Up to ALL_SHOWN classes are all shown. Of more classes, the LIKELIEST are shown and the others are folded.
ALL_SHOWN = 8
LIKELIEST = 5


def present(output: Mapping[str, Any], version: ModelVersion) -> "AnswerPresenter | SeveralAnswers":
    if output["kind"] == "multi":
        parts = zip(version.parts(output).values(), version.views, strict=True)
        return SeveralAnswers([AnswerPresenter(part, view) for part, view in parts])
    return AnswerPresenter(output, version.manifest)


class AnswerPresenter:
    """One answer for the templates.

    `output` is what a worker stored; rows of earlier releases lack some keys. `manifest` is that of the row's version.
    """

    def __init__(self, output: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
        self._output = output
        self._target: Mapping[str, Any] = manifest.get("target") or {}
        self._targets: Mapping[str, Any] | None = (manifest.get("figures") or {}).get("target")
        self.kind: str = output["kind"]
        self.is_outside = sureness.is_outside(output)
        self.grade: str = output.get("grade") or ""
        self.grade_text = sureness.grade_text(output)
        self.grade_note = sureness.grade_note(output)
        self.warning = str(sureness.OUTSIDE) if self.is_outside else ""
        self.sentences = sureness.sentences(output, manifest.get("task", ""))
        self.unit: str = output.get("unit") or ""
        self.interval: list[float] | None = None if self.is_outside else output.get("interval")
        promised = (manifest.get("sureness") or {}).get("interval") or {}
        self._bounds = [promised.get("low"), promised.get("high")]
        rows = (manifest.get("rows") or {}).get("training", 0)
        cases = self._target.get("cases") or gettext("cases")
        self.standing = standing(output, self._targets, rows, cases) if self.kind == "regression" else ""

    @property
    def name(self) -> str:
        """The name of the target with a capital first letter, for the beginning of a heading."""
        name: str = self._target.get("name", "")
        return name[:1].upper() + name[1:]

    @property
    def value_text(self) -> str:
        if self.kind == "classification":
            return str(self._output["label"])
        value: float = self._output["value"]
        return interval_text(value, *self.interval)[0] if self.interval else number_text(value)

    @property
    def is_about(self) -> bool:
        """Whether the value is rounded to the precision that its interval allows."""
        return self.interval is not None and self.interval[1] > self.interval[0]

    @property
    def interval_text(self) -> str:
        """The interval of a number; empty where there is none."""
        if not self.interval:
            return ""
        _, low, high = interval_text(self._output["value"], *self.interval)
        return range_text(low, high)

    @property
    def text(self) -> str:
        """The answer in one line."""
        value = f"{self.value_text} {self.unit}" if self.unit else self.value_text
        return gettext("about %(value)s") % {"value": value} if self.is_about else value

    def written(self, write: Callable[[float], str]) -> str:
        """The answer in one line; `write` writes a number."""
        value = write(self._output["value"]) if self.kind == "regression" else self.value_text
        return f"{value} {self.unit}" if self.unit else value

    @property
    def spoken(self) -> str:
        """The answer and how sure it is; a warning comes first."""
        grade = f"{self.grade_text}." if self.grade_text else ""
        most_important = self.warning or (self.sentences[0] if self.sentences else "")
        named = f"{self.name}: {self.text}." if self.name else f"{self.text}."
        parts = (grade, most_important, named) if self.is_outside else (named, grade, most_important)
        return " ".join(part for part in parts if part)

    # --- Classes ------------------------------------------------------------------------------------------------------
    @property
    def bars(self) -> list[dict[str, Any]]:
        """One bar for each class, the most probable first."""
        shares: Mapping[str, float] = self._output.get("probabilities") or {}
        fitting = [] if self.is_outside else self._output.get("prediction_set") or []
        return [
            {
                "label": label,
                "share": share,
                "percent": probability_text(share),
                "is_answer": label == self._output["label"],
                "in_set": label in fitting,
            }
            for label, share in sureness.ranked(shares)
        ]

    @property
    def likeliest(self) -> list[dict[str, Any]]:
        return self.bars if len(self.bars) <= ALL_SHOWN else self.bars[:LIKELIEST]

    @property
    def folded(self) -> list[dict[str, Any]]:
        return self.bars[len(self.likeliest) :]

    # --- Numbers ------------------------------------------------------------------------------------------------------
    @property
    def line(self) -> charts.NumberLine | None:
        if self.kind != "regression" or self.is_outside:
            return None
        return charts.number_line(self._output["value"], self.interval, self._targets, self._bounds)

    @property
    def line_text(self) -> str:
        """A description of the drawing in words; empty if there is no drawing."""
        if self.line is None:
            return ""
        shown = {"answer": self.text, "start": self.line.low_text, "end": self.line.high_text}
        if not self.interval:
            return gettext("%(answer)s, on an axis from %(start)s to %(end)s.") % shown
        _, low, high = interval_text(self._output["value"], *self.interval)
        text = gettext("%(answer)s, with an interval from %(low)s to %(high)s, on an axis from %(start)s to %(end)s.")
        return text % {**shown, "low": low, "high": high}


class SeveralAnswers:
    """The answers of a version with several targets. Each part has a grade of its own."""

    kind = "multi"
    name = unit = ""
    is_about = False
    interval = None

    def __init__(self, parts: Sequence[AnswerPresenter]) -> None:
        self.parts = parts
        # `is_outside` depends on the row alone, so all parts have the same value.
        self.is_outside = any(part.is_outside for part in parts)
        self.grade = "outside" if self.is_outside else ""
        self.grade_text = str(sureness.GRADES.get(self.grade, ""))
        self.grade_note = str(sureness.GRADE_NOTES.get(self.grade, ""))
        self.warning = str(sureness.OUTSIDE) if self.is_outside else ""

    @property
    def text(self) -> str:
        """The answers in one line."""
        return "; ".join(f"{part.name}: {part.text}" for part in self.parts)

    value_text = text

    def written(self, write: Callable[[float], str]) -> str:
        return "; ".join(f"{part.name}: {part.written(write)}" for part in self.parts)

    @property
    def spoken(self) -> str:
        if self.is_outside:
            return f"{self.grade_text}. {self.warning} {self.text}."
        return " ".join(part.spoken for part in self.parts)
