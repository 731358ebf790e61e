"""The feedback form of an answer: the feedback so far, and how new feedback is read."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from django.utils.translation import gettext

from predictions.models import Feedback, ModelVersion, Prediction
from predictions.models.feedback import contradicts
from predictions.web.answer import AnswerPresenter, SeveralAnswers
from predictions.web.formatting import exact_text
from predictions.web.number_input import Unreadable, read_number

WAS_RIGHT = {"yes": True, "no": False}
LONGEST_COMMENT = 2000


Answer: TypeAlias = AnswerPresenter | SeveralAnswers | None


class InvalidFeedback(ValueError):
    """The message says what to enter."""


class FeedbackPresenter:
    """The feedback of the person who asked. Only answers of a classification or a regression have a true value. The
    true values of several targets can be given by the API only."""

    def __init__(self, given: Feedback | None, version: ModelVersion, answer: Answer) -> None:
        manifest, is_one = version.manifest, not version.views
        self.is_given = given is not None
        self.was_right = given.was_right if given else None
        self.comment = given.comment if given else ""
        self.given_at = given.given_at if given else None
        self.actual = _text(given.actual, version) if given and given.actual is not None else ""
        self.labels: list[str] = manifest.get("labels", []) if manifest.get("task") == "classification" else []
        self.takes_number = is_one and manifest.get("task") == "regression"
        self.unit = answer.unit if answer else ""

    @property
    def summary(self) -> str:
        """The feedback in one sentence; empty if only a comment was given."""
        if not self.actual:
            return "" if self.was_right is None else _verdict(self.was_right)
        return self._with_actual % {"actual": f"{self.actual} {self.unit}" if self.unit else self.actual}

    @property
    def _with_actual(self) -> str:
        if self.was_right is None:
            return gettext("You said: it was %(actual)s.")
        if self.was_right:
            return gettext("You said: it was right and it was %(actual)s.")
        return gettext("You said: it was wrong and it was %(actual)s.")


def _verdict(was_right: bool) -> str:
    return gettext("You said: it was right.") if was_right else gettext("You said: it was wrong.")


def read_feedback(posted: Mapping[str, str], prediction: Prediction) -> dict[str, Any]:
    """Feedback as `give_feedback` takes it. A true class also says whether the answer was right.

    A button counts more than the list of classes, which still has the class of earlier feedback selected.

    Raises:
        InvalidFeedback: nothing was said, or the true value can't be read.
    """
    actual = _actual(posted.get("actual", "").strip(), prediction)
    was_right = WAS_RIGHT.get(posted.get("was_right", ""))
    comment = posted.get("comment", "").strip().replace("\0", "")[:LONGEST_COMMENT]
    output = prediction.output or {}
    if contradicts(was_right, actual, output):
        actual = None
    label = output.get("label")
    if was_right is None and actual is not None and label is not None:
        was_right = actual == label
    if was_right is None and actual is None and not comment:
        raise InvalidFeedback(gettext("Choose yes or no, or say what it was."))
    return {"was_right": was_right, "actual": actual, "comment": comment}


def _actual(text: str, prediction: Prediction) -> str | float | None:
    manifest = prediction.version.manifest
    if not text:
        return None
    if manifest["task"] == "regression" and not prediction.version.views:
        try:
            return float(read_number(text, (manifest.get("target") or {}).get("unit") or ""))
        except Unreadable as error:
            raise InvalidFeedback(str(error)) from None
    if text not in manifest.get("labels", []):
        raise InvalidFeedback(gettext("Choose one of the classes that the model knows."))
    return text


def _text(actual: Any, version: ModelVersion) -> str:
    if isinstance(actual, dict):
        return ", ".join(f"{name} {_text(actual[name], version)}" for name in version.target_names if name in actual)
    return exact_text(actual) if isinstance(actual, int | float) and not isinstance(actual, bool) else str(actual)
