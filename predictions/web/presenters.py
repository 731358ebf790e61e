"""A prediction for the templates: words, bars and times. They are computed, never stored."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy, ngettext

from predictions.models import Feedback, ModelVersion, Prediction, State, clock
from predictions.serving.schema.errors import ERRORS
from predictions.use_cases.receipt import Receipt, receipt_of
from predictions.use_cases.sharing import LASTS, view_token
from predictions.web import polling, waiting
from predictions.web.answer import AnswerPresenter, SeveralAnswers, present
from predictions.web.feedback import FeedbackPresenter
from predictions.web.formatting import duration_text
from predictions.web.localized import localized
from predictions.web.values import value_text

HEADLINES: Mapping[str, str | Promise] = {
    State.QUEUED: gettext_lazy("In the queue"),
    State.RUNNING: gettext_lazy("Being predicted"),
    State.SUCCEEDED: gettext_lazy("Finished"),
    State.FAILED: gettext_lazy("Failed"),
    State.CANCELED: gettext_lazy("Canceled"),
    State.EXPIRED: gettext_lazy("Expired"),
}
NOTES: Mapping[str, str | Promise] = {
    State.CANCELED: gettext_lazy("It was canceled before it had a result."),
    State.EXPIRED: gettext_lazy("No answer came in the time that it had. Its values were accepted: ask again."),
}
# More advice than this is folded.
ADVICE_SHOWN = 4


class PredictionPresenter:
    """One prediction for the templates. Reads no more than the row and its version.

    `viewer` is the caller key of the person who looks at it; `late_since` is when the workers began to be late, if they
    are; `ahead` is how many predictions wait before it, if that was counted; `feedback` is what the viewer said of it.
    """

    def __init__(
        self,
        prediction: Prediction,
        attempt: int = 0,
        *,
        viewer: str = "",
        late_since: datetime | None = None,
        ahead: int | None = None,
        feedback: Feedback | None = None,
    ) -> None:
        self._row = prediction
        self._late_since = late_since
        self._ahead = ahead
        self.id = str(prediction.pk)
        self.state = prediction.state
        self.is_terminal = prediction.is_terminal
        self.is_mine = prediction.caller == viewer
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
        self.why_url = reverse("explanation", args=[prediction.pk])
        self.what_if_url = reverse("what-if", args=[prediction.pk])
        self.replay_url = reverse("replay", args=[prediction.pk])
        self.csv_url = reverse("prediction-csv", args=[prediction.pk])
        self.compare_url = f"{reverse('compare')}?id={prediction.pk}"
        self.feedback = FeedbackPresenter(feedback, self.version, self.answer) if self.can_feedback else None

    # --- Words --------------------------------------------------------------------------------------------------------
    @property
    def state_text(self) -> str:
        return str(HEADLINES[self.state])

    headline = state_text

    @property
    def page_title(self) -> str:
        """The answer and its grade, so that a hidden tab shows them; or the state."""
        said = [self.state_text]
        if self.answer is not None:
            said = [self.answer.text, self.answer.grade_note]
            said = said[::-1] if self.answer.is_outside else said
        return " · ".join(part for part in [*said, self.model_title, "Foretell"] if part)

    @cached_property
    def note(self) -> str:
        if self.is_terminal:
            return str(NOTES.get(self.state, ""))
        if self.capped:
            return waiting.capped_note(self._row.deadline_at, clock.recent(), self._late_since)
        return waiting.note(self.state, self._row.deadline_at, clock.recent())

    @property
    def progress(self) -> str:
        """For how long an unfinished prediction has waited, and how many are before it."""
        if self.is_terminal:
            return ""
        return waiting.progress(clock.recent() - self._row.created_at, self._ahead)

    @property
    def outside_text(self) -> str:
        """How many values lie outside the training data, each by itself."""
        outside, given = len(self._advised), len(self._row.values)
        if not outside:
            return gettext(
                "Each value lies within what it learned from, but no case that it learned from has them together."
            )
        text = ngettext(
            "%(outside)s of %(given)s values lies outside what it learned from.",
            "%(outside)s of %(given)s values lie outside what it learned from.",
            outside,
        )
        return text % {"outside": outside, "given": given}

    @property
    def announcement(self) -> str:
        if self.capped:
            text = gettext("%(model)s: not finished yet. This page has stopped asking. %(note)s")
            return text % {"model": self.model_title, "note": self.note}
        if self.answer is None:
            return f"{self.model_title}: {self.state_text}"
        return f"{self.model_title}: {self.answer.spoken}"

    @property
    def error(self) -> dict[str, Any] | None:
        known = ERRORS.get(self._row.error_code)
        if known is None or self.state != State.FAILED:
            return None
        return {"code": known.code, "message": localized(known.sentence), "retryable": known.retryable}

    @property
    def audience(self) -> str:
        """Who can see this prediction, by the rule of `predictions.use_cases.callers.may_see`."""
        if self._row.owner_id is not None:
            if self.share_url:
                text = gettext(
                    "You and the analysts of this service can see it. Everyone who gets the view-only link can look at"
                    " it for %(days)s days."
                )
                return text % {"days": LASTS.days}
            if self.is_mine:
                return gettext("You and the analysts of this service can see it.")
            return gettext("Its owner and the analysts of this service can see it.")
        if not settings.PUBLIC_PREDICTIONS:
            return gettext("The analysts of this service can see it.")
        if self.is_mine:
            return gettext(
                "Everyone who has its link can see it. Only this browser can cancel it or say whether it was right."
            )
        return gettext(
            "Everyone who has its link can see it. Only the browser or program that asked can cancel it or say whether"
            " it was right."
        )

    @cached_property
    def share_url(self) -> str:
        """The view-only link of a result that has an owner, for its owner alone."""
        is_owned = self.is_mine and self.is_terminal and self._row.owner_id is not None
        return reverse("shared", args=[view_token(self._row)]) if is_owned else ""

    # --- What can be done ---------------------------------------------------------------------------------------------
    @property
    def can_cancel(self) -> bool:
        return self.is_mine and not self.is_terminal

    @property
    def can_feedback(self) -> bool:
        return self.is_mine and self.state == State.SUCCEEDED

    @property
    def can_retry(self) -> bool:
        """Whether the same values may succeed next time: after a retryable error, a cancellation or an expiry."""
        if self.state == State.FAILED:
            return bool(self.error and self.error["retryable"])
        return self.state in (State.CANCELED, State.EXPIRED)

    # --- The answer ---------------------------------------------------------------------------------------------------
    @cached_property
    def answer(self) -> AnswerPresenter | SeveralAnswers | None:
        return present(self._row.output, self.version) if self._row.output else None

    @property
    def answer_text(self) -> str:
        """The answer for lists of predictions."""
        if self.answer is None:
            return ""
        if self.answer.is_outside:
            return gettext("%(answer)s (outside its experience)") % {"answer": self.answer.text}
        return self.answer.text

    # --- What was asked -----------------------------------------------------------------------------------------------
    @cached_property
    def advice(self) -> list[dict[str, str]]:
        features = self.version.signature.by_name
        return [{"feature": features[name].label, "message": message} for name, message in self._advised.items()]

    @property
    def advice_shown(self) -> list[dict[str, str]]:
        return self.advice if len(self.advice) <= ADVICE_SHOWN else self.advice[: ADVICE_SHOWN - 1]

    @property
    def advice_folded(self) -> list[dict[str, str]]:
        return self.advice[len(self.advice_shown) :]

    @cached_property
    def _advised(self) -> dict[str, str]:
        """The advice by the name of the feature, since two features may have the same label."""
        advised = self.version.advisor.advise(self._row.values)
        return {advice.feature: localized(advice.message) for advice in advised}

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """The values that were asked, in the order of the form: group by group."""
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
        if self.state != State.SUCCEEDED:
            return ""
        return gettext("Answered in %(time)s") % {"time": self.total_text}

    @property
    def times(self) -> list[dict[str, Any]]:
        times = {
            gettext("Asked"): self._row.created_at,
            gettext("Taken by a worker"): self._row.started_at,
            gettext("Ended"): self._row.finished_at,
        }
        return [{"label": label, "value": at} for label, at in times.items() if at]

    @cached_property
    def receipt(self) -> Receipt | None:
        """The record of which artefact answered which input; None until the prediction has ended."""
        return receipt_of(self._row) if self.is_terminal else None

    @property
    def created_at(self) -> Any:
        return self._row.created_at

    @property
    def finished_at(self) -> Any:
        return self._row.finished_at
