"""An answer for the templates: its value, its probabilities as bars, its interval as a scale, and how sure it is."""

from collections.abc import Mapping
from typing import Any

from predictions.web import sureness
from predictions.web.formatting import first_place, interval_text, number_text, probability_text, rounded_text

# So many classes are all shown; of more, the likeliest few, and the others folded.
ALL_SHOWN = 8
LIKELIEST = 5


class AnswerPresenter:
    """`output` as a worker stored it. Rows of earlier releases lack some of its keys."""

    def __init__(self, output: Mapping[str, Any], task: str = "") -> None:
        self._output = output
        self.kind: str = output["kind"]
        self.is_outside = sureness.is_outside(output)
        self.warning = sureness.OUTSIDE if self.is_outside else ""
        self.sentences = sureness.sentences(output, task)
        self.unit: str = output.get("unit") or ""
        self.interval: list[float] | None = None if self.is_outside else output.get("interval")

    @property
    def value_text(self) -> str:
        if self.kind == "classification":
            return str(self._output["label"])
        value: float = self._output["value"]
        return interval_text(value, *self.interval)[0] if self.interval else number_text(value)

    @property
    def text(self) -> str:
        """The answer in one line."""
        return " ".join(part for part in (self.value_text, self.unit) if part)

    # --- Classes ------------------------------------------------------------------------------------------------------
    @property
    def bars(self) -> list[dict[str, Any]]:
        """One for each class, the most probable first."""
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
            for label, share in sorted(shares.items(), key=lambda pair: -pair[1])
        ]

    @property
    def likeliest(self) -> list[dict[str, Any]]:
        return self.bars if len(self.bars) <= ALL_SHOWN else self.bars[:LIKELIEST]

    @property
    def folded(self) -> list[dict[str, Any]]:
        return self.bars[len(self.likeliest) :]

    # --- Numbers ------------------------------------------------------------------------------------------------------
    @property
    def scale(self) -> dict[str, Any] | None:
        """The interval drawn on a line of 100 units that goes a third of its width further on both sides."""
        if not self.interval or not self.interval[1] > self.interval[0]:
            return None
        low, high = self.interval
        margin, place = (high - low) / 3, first_place((high - low) / 2)
        return {
            "interval_x": 20.0,
            "interval_width": 60.0,
            "value_x": 20.0 + 60.0 * (self._output["value"] - low) / (high - low),
            "min_text": rounded_text(low - margin, place),
            "max_text": rounded_text(high + margin, place),
        }
