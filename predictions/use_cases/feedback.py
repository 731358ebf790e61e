"""Feedback on an answer: whether it was right, or what was true."""

from typing import Any

from predictions.models import Feedback, Prediction, State
from predictions.serving.schema.errors import NoAnswer
from predictions.use_cases.callers import Caller, check_may_change


def give_feedback(prediction: Prediction, caller: Caller, **said: Any) -> tuple[Feedback, bool]:
    """Create or replace this caller's feedback: `was_right`, `actual`, `comment`. Returns (feedback, created).

    Raises:
        Forbidden: the caller may see the prediction and not change it.
        NoAnswer: the prediction has not succeeded.
    """
    check_may_change(caller, prediction)
    check_has_answer(prediction)
    return Feedback.objects.say(prediction, caller.key, **said)


def given_feedback(prediction: Prediction, caller: str) -> Feedback | None:
    """What this caller said of the answer, if there is one and they asked for it."""
    if prediction.state != State.SUCCEEDED or prediction.caller != caller:
        return None
    return Feedback.objects.filter(prediction=prediction, caller=caller).first()


def check_has_answer(prediction: Prediction) -> None:
    """Raises NoAnswer."""
    if prediction.state != State.SUCCEEDED:
        raise NoAnswer
