"""The comparison of two versions as its page shows it: shares as bars with their intervals, a table beside each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy

from predictions.comparison.agreement import SMALLEST_GROUP, Agreement, Answer
from predictions.comparison.evidence import Evidence
from predictions.comparison.statistics import Measured, median_of
from predictions.models import Comparison
from predictions.models.comparison import Kind
from predictions.serving.schema.kinds import Feature, Integer, Number
from predictions.web.formatting import (
    apart_texts,
    number_text,
    range_text,
    share_interval,
    share_text,
    with_decimal_mark,
)
from predictions.web.verdict import Names, verdict

# Features that are shown at once; the others are folded.
SHOWN = 3
ENDS: Mapping[str, str | Promise] = {
    "worker_lost": gettext_lazy("It was ended: its answers have cost several workers."),
    "model_unavailable": gettext_lazy("It was ended: the version does not serve."),
}


KINDS: Mapping[str, str | Promise] = {Kind.SHADOW: gettext_lazy("Shadow"), Kind.REPLAY: gettext_lazy("Replay")}


@dataclass(frozen=True, slots=True)
class ShareBar:
    """A counted share with its interval, in hundredths of the drawing's width. `most` as in `share_text`."""

    label: str
    count: int
    of: int
    most: int | None = None

    @property
    def text(self) -> str:
        return share_text(self.count, self.of, self.most)

    @property
    def share(self) -> float:
        return round(self.count / self.of * 100, 2) if self.of else 0.0

    @property
    def ends(self) -> tuple[float, float]:
        low, high = share_interval(self.count, self.of, self.most) if self.of else (0.0, 1.0)
        return round(low * 100, 2), round(high * 100, 2)


@dataclass(frozen=True, slots=True)
class FeatureBars:
    """How often answers differ, by the values of one feature."""

    label: str
    bars: Sequence[ShareBar]

    @property
    def contrast(self) -> float:
        """The largest difference of the shares of two groups, among groups of `SMALLEST_GROUP` answers or more."""
        shares = [bar.share for bar in self.bars if bar.of >= SMALLEST_GROUP]
        return max(shares) - min(shares) if len(shares) > 1 else 0.0


class TargetPresenter:
    """The comparison of one target."""

    def __init__(self, agreement: Agreement, features: Sequence[Feature], names: Names) -> None:
        self._agreement = agreement
        self._names = names
        self.name = agreement.name
        self.is_classification = agreement.kind == "classification"
        self.same = ShareBar(gettext("The same answer"), agreement.same, agreement.of)
        bars = [FeatureBars(feature.label, _bars(agreement, feature)) for feature in features]
        found = sorted((one for one in bars if one.bars), key=lambda one: -one.contrast)
        self.features, self.folded = found[:SHOWN], found[SHOWN:]

    @property
    def distance(self) -> str:
        """The median difference of the answers; empty for a classification."""
        return "" if self.is_classification else _text(median_of([one.distance for one in self._agreement.answers]))

    @property
    def accuracy(self) -> list[dict[str, Any]]:
        """A line for each version; empty without feedback on an answer."""
        return [self._accuracy(which, name) for which, name in self._sides()] if self.judged else []

    def _sides(self) -> list[tuple[str, str]]:
        return [("before", self._names.before), ("after", self._names.after)]

    def _accuracy(self, which: str, name: str) -> dict[str, Any]:
        if self.is_classification:
            right = self._agreement.right(which)
            bar = ShareBar(name, right.least, self.judged, right.most)
            return {"name": name, "bar": bar, "text": bar.text}
        errors = self._agreement.errors(which)
        text = gettext("%(median)s; mean %(mean)s") % {
            "median": _text(median_of(errors)),
            "mean": number_text(mean(errors)),
        }
        return {"name": name, "bar": None, "text": text}

    @property
    def judged(self) -> int:
        """The predictions with feedback that counts: a true value, or for a class also that it was wrong."""
        return len(self._agreement.judged if self.is_classification else self._agreement.known)

    @property
    def is_open(self) -> bool:
        """Whether feedback says of some class only that it was wrong, without the true class."""
        return self.is_classification and self.judged > len(self._agreement.known)

    @property
    def largest(self) -> list[dict[str, str]]:
        return [
            {
                "url": reverse("prediction", args=[answer.pair.prediction]),
                "id": str(answer.pair.prediction),
                **dict(zip(("before", "after"), answer_texts(answer), strict=True)),
            }
            for answer in self._agreement.largest
        ]


class ComparisonPresenter:
    """The comparison of two versions. `after` answered the rows again that `before` had answered."""

    def __init__(self, evidence: Evidence) -> None:
        self.before, self.after = evidence.other.number, evidence.version.number
        names = Names(*(gettext("version %(number)s") % {"number": one} for one in (self.before, self.after)))
        found = evidence.agreements
        self.count = len(evidence.pairs)
        self.unfit, self.failed = evidence.unfit, evidence.failed
        self.targets = [TargetPresenter(one, evidence.other.signature.features, names) for one in found]
        self.verdict = verdict(found, evidence.times, names)
        self.times = [
            {"name": name, "text": _text(median_of(milliseconds), " ms")}
            for name, milliseconds in (
                (names.before, [before for before, _ in evidence.times]),
                (names.after, [after for _, after in evidence.times]),
            )
            if milliseconds
        ]


class RunPresenter:
    """A shadow or a replay, and its progress."""

    def __init__(self, run: Comparison) -> None:
        self.kind = str(KINDS[run.kind])
        self.is_terminal = run.is_terminal
        self.done, self.wanted, self.dropped = run.done, run.wanted, run.dropped
        self.created_at = run.created_at
        text = (
            gettext("%(percent)s %% of the predictions") if run.kind == Kind.SHADOW else gettext("the last %(wanted)s")
        )
        self.share = text % {"percent": run.percent, "wanted": run.wanted}
        self.has_failed = run.is_terminal and run.error_code in ENDS
        self.state = str(ENDS.get(run.error_code, gettext("ended"))) if run.is_terminal else gettext("under way")


def _bars(agreement: Agreement, feature: Feature) -> list[ShareBar]:
    groups = [group for group in agreement.parts(feature) if group.of]
    return [ShareBar(_values_text(feature, group.values), group.differing, group.of) for group in groups]


def _values_text(feature: Feature, values: str) -> str:
    """The values of a group. For a number it is the range, with the reader's decimal mark."""
    if not isinstance(feature, Number | Integer):
        return values
    low, _, high = values.partition(" to ")
    return range_text(with_decimal_mark(low), with_decimal_mark(high))


def answer_texts(answer: Answer) -> tuple[str, str]:
    """Both answers as texts; those of different numbers differ."""
    if answer.before["kind"] == "classification":
        return str(answer.before["label"]), str(answer.after["label"])
    return apart_texts(answer.before["value"], answer.after["value"])


def _text(measured: Measured, unit: str = "") -> str:
    """A measured value and its range, for example: 1.2 ms (1.1 to 1.4, by 40)."""
    if measured.low is None or measured.high is None:
        text = gettext("%(value)s (by %(of)s, too few for a range)")
        return text % {"value": f"{number_text(measured.value)}{unit}", "of": measured.of}
    text = gettext("%(value)s (%(low)s to %(high)s, by %(of)s)")
    ends = {"low": number_text(measured.low), "high": number_text(measured.high)}
    return text % {"value": f"{number_text(measured.value)}{unit}", **ends, "of": measured.of}
