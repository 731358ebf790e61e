"""A prediction as a person reads it: words, bars and times. Computed, never stored."""

from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.urls import reverse

from predictions.models import ModelVersion, Prediction, State
from predictions.serving.schema.errors import ERRORS
from predictions.serving.schema.signature import Choice, Feature, Value
from predictions.web import polling
from predictions.web.formatting import duration_text, exact_text, number_text, percent_text, probability_text

HEADLINES: Mapping[str, str] = {
    State.QUEUED: "In the queue",
    State.RUNNING: "Being predicted",
    State.SUCCEEDED: "Finished",
    State.FAILED: "Failed",
    State.CANCELED: "Canceled",
    State.EXPIRED: "Expired",
}
NOTES: Mapping[str, str] = {
    State.QUEUED: "Your prediction is kept. A worker will take it in a moment.",
    State.RUNNING: "A worker is on it.",
    State.CANCELED: "It was canceled before it had a result.",
    State.EXPIRED: "No worker came to it in time. Nothing is wrong with your input: ask again.",
}


class PredictionPresenter:
    """One prediction for the templates. Reads no more than the row and its version."""

    def __init__(self, prediction: Prediction, attempt: int = 0) -> None:
        self._row = prediction
        self.id = str(prediction.pk)
        self.state = prediction.state
        self.is_terminal = prediction.is_terminal
        self.version: ModelVersion = prediction.version
        self.model_title = self.version.registered_model.title
        self.model_url = reverse("model", args=[self.version.registered_model.name])
        self.url = reverse("prediction", args=[prediction.pk])
        self.capped = not self.is_terminal and polling.is_capped(attempt)
        self.next_attempt = attempt + 1
        self.delay_ms = polling.delay_ms(attempt, self.version.manifest.get("predict_ms") or 0.0)
        self.status_url = f"{reverse('status', args=[prediction.pk])}?attempt={self.next_attempt}"
        self.check_url = f"{reverse('status', args=[prediction.pk])}?attempt=0"
        self.cancel_url = reverse("cancel", args=[prediction.pk])
        self.feedback_url = reverse("feedback", args=[prediction.pk])
        self.retry_url = reverse("retry", args=[prediction.pk])
        self.again_url = f"{self.model_url}?from={prediction.pk}"
        self.output: dict[str, Any] | None = prediction.output

    # --- Words --------------------------------------------------------------------------------------------------------
    @property
    def state_text(self) -> str:
        return HEADLINES[self.state]

    headline = state_text

    @property
    def note(self) -> str:
        if self.capped:
            return "This takes longer than usual. The work goes on, and this address keeps the result."
        return NOTES.get(self.state, "")

    @property
    def announcement(self) -> str:
        if self.capped:
            return f"{self.model_title}: not finished yet. This page has stopped asking; the work goes on."
        return f"{self.model_title}: {self.answer_text}" if self.output else f"{self.model_title}: {self.state_text}"

    @property
    def error(self) -> dict[str, Any] | None:
        known = ERRORS.get(self._row.error_code)
        if known is None or self.state != State.FAILED:
            return None
        return {"code": known.code, "message": known.sentence, "retryable": known.retryable}

    @property
    def can_cancel(self) -> bool:
        return not self.is_terminal

    @property
    def can_feedback(self) -> bool:
        return self.state == State.SUCCEEDED

    @property
    def can_retry(self) -> bool:
        return self.state in (State.FAILED, State.CANCELED, State.EXPIRED)

    # --- The answer ---------------------------------------------------------------------------------------------------
    @property
    def answer_text(self) -> str:
        if not self.output:
            return ""
        if self.output["kind"] == "classification":
            return str(self.output["label"])
        return " ".join(part for part in (self.value_text, self.unit) if part)

    @property
    def value_text(self) -> str:
        return number_text(self.output["value"]) if self.output and self.output["kind"] == "regression" else ""

    @property
    def unit(self) -> str:
        return (self.output or {}).get("unit") or ""

    @property
    def bars(self) -> list[dict[str, Any]]:
        """One for each class, the most probable first."""
        if not self.output or not self.output.get("probabilities"):
            return []
        possible = self.output.get("prediction_set") or []
        shares = sorted(self.output["probabilities"].items(), key=lambda pair: -pair[1])
        return [
            {
                "label": label,
                "share": share,
                "percent": probability_text(share),
                "is_answer": label == self.output["label"],
                "in_set": label in possible,
            }
            for label, share in shares
        ]

    @property
    def interval(self) -> list[float] | None:
        return (self.output or {}).get("interval")

    @property
    def interval_text(self) -> str:
        if not self.interval or not self.output:
            return ""
        low, high = self.interval
        sure = percent_text(self.output["coverage"])
        return f"Between {number_text(low)} and {number_text(high)} in {sure} of cases."

    @property
    def scale(self) -> dict[str, Any] | None:
        """The interval drawn on a line of 100 units that goes a third of its width further on both sides."""
        if not self.interval or not self.output:
            return None
        low, high = self.interval
        if not high > low:
            return None
        return {
            "interval_x": 20.0,
            "interval_width": 60.0,
            "value_x": 20.0 + 60.0 * (self.output["value"] - low) / (high - low),
            "min_text": number_text(low - (high - low) / 3),
            "max_text": number_text(high + (high - low) / 3),
        }

    @property
    def set_text(self) -> str:
        labels = (self.output or {}).get("prediction_set")
        if labels is None or not self.output:
            return ""
        sure = percent_text(self.output["coverage"])
        if not labels:
            return f"No class is typical of this input at {sure} coverage: be careful."
        if len(labels) == 1:
            return f"Only {labels[0]} is plausible at {sure} coverage."
        return f"{', '.join(labels[:-1])} or {labels[-1]}: none of these can be ruled out at {sure} coverage."

    # --- What was asked -----------------------------------------------------------------------------------------------
    @property
    def advice(self) -> list[dict[str, str]]:
        features = self.version.signature.by_name
        return [{"feature": features[name].label, "message": message} for name, message in self._advised.items()]

    @cached_property
    def _advised(self) -> dict[str, str]:
        """By the name, since two features may have one label."""
        advised = self.version.signature.advise(self._row.values, self.version.profile)
        return {advice.feature: advice.message for advice in advised}

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """In the order of the form: group by group."""
        asked = list(zip(self.version.signature.features, self._row.values, strict=True))
        groups = [feature.group for feature, _ in asked]
        return [
            {
                "label": feature.label,
                "value": value_text(feature, value),
                "unit": feature.unit,
                "group": feature.group,
                "advice": self._advised.get(feature.name, ""),
            }
            for feature, value in sorted(asked, key=lambda pair: groups.index(pair[0].group))
        ]

    # --- Times --------------------------------------------------------------------------------------------------------
    @property
    def total(self) -> timedelta | None:
        return self._row.finished_at - self._row.created_at if self._row.finished_at else None

    @property
    def total_text(self) -> str:
        return duration_text(self.total) if self.total is not None else ""

    @property
    def timing_text(self) -> str:
        return f"Answered in {self.total_text}" if self.state == State.SUCCEEDED else ""

    @property
    def times(self) -> list[dict[str, Any]]:
        times = {
            "Asked": self._row.created_at,
            "Taken by a worker": self._row.started_at,
            "Finished": self._row.finished_at,
        }
        return [{"label": label, "value": at} for label, at in times.items() if at]

    @property
    def created_at(self) -> Any:
        return self._row.created_at

    @property
    def finished_at(self) -> Any:
        return self._row.finished_at


def value_text(feature: Feature, value: Value) -> str:
    """A value as the form shows it."""
    if value is None:
        return "not given"
    if isinstance(feature, Choice):
        return next((label for known, label in feature.choices if known == value), str(value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return exact_text(value) if isinstance(value, float) else str(value)
