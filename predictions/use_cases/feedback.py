"""Feedback on an answer: whether it was right, or what was true."""

from collections.abc import Mapping
from typing import Any

from predictions.models import Feedback, Prediction, State
from predictions.models.feedback import classes_of, contradicts
from predictions.serving.schema.errors import InvalidInput, NoAnswer, Problem
from predictions.use_cases.callers import Caller, check_may_change

LABELS_NAMED = 20


def give_feedback(prediction: Prediction, caller: Caller, **said: Any) -> tuple[Feedback, bool]:
    """Create or replace this caller's feedback: `was_right`, `actual`, `comment`. Returns (feedback, created).

    Raises:
        Forbidden: the caller may see the prediction and not change it.
        NoAnswer: the prediction has not succeeded.
        InvalidInput: `actual` is no answer that the version can give, or it contradicts `was_right`.
    """
    check_may_change(caller, prediction)
    check_has_answer(prediction)
    if said.get("actual") is not None:
        said["actual"] = _true_answer(prediction, said["actual"])
    _check_agrees(prediction.output or {}, said.get("was_right"), said.get("actual"))
    return Feedback.objects.say(prediction, caller.key, **said)


def given_feedback(prediction: Prediction, caller: str) -> Feedback | None:
    """The caller's feedback on the answer to their own prediction; None if there is no answer or no feedback."""
    if prediction.state != State.SUCCEEDED or prediction.caller != caller:
        return None
    return Feedback.objects.of_predictions([prediction.pk]).get((prediction.pk, caller))


def check_has_answer(prediction: Prediction) -> None:
    """Raises NoAnswer."""
    if prediction.state != State.SUCCEEDED:
        raise NoAnswer


def _check_agrees(output: Mapping[str, Any], was_right: bool | None, actual: Any) -> None:
    """Raises InvalidInput."""
    if contradicts(was_right, actual, output):
        answered = ", ".join(f"{name} {label}".strip() for name, label in classes_of(output).items())
        message = f"Contradicts actual: the answer was {answered}. Leave was_right out, or correct one of the two."
        raise InvalidInput([Problem(None, "wrong_value", message, "/was_right")])


def _true_answer(prediction: Prediction, actual: Any) -> Any:
    """The true answer as it is stored; for several targets, by their names. Raises InvalidInput."""
    views = {view["target"]["name"]: view for view in prediction.version.views}
    if not views:
        return _true_value(prediction.version.manifest, actual, "/actual")
    if not isinstance(actual, dict) or not actual.keys() <= views.keys():
        message = f"Must be an object with some of: {', '.join(views)}."
        raise InvalidInput([Problem(None, "wrong_type", message, "/actual")])
    return {name: _true_value(views[name], value, f"/actual/{name}") for name, value in actual.items()}


def _true_value(manifest: Mapping[str, Any], actual: Any, pointer: str) -> str | float:
    """The label of a class, given as label or as value; or a number. Raises InvalidInput."""
    labels = list(manifest["labels"])
    if isinstance(actual, dict):
        raise InvalidInput([Problem(None, "wrong_type", "Must be one value: there is one target.", pointer)])
    if not labels:
        if isinstance(actual, bool | str):
            raise InvalidInput([Problem(None, "wrong_type", "Must be a number.", pointer)])
        return float(actual)
    by_value = dict(zip(map(_key, manifest["classes"]), labels, strict=True)) if manifest["classes"] else {}
    label = actual if actual in labels else by_value.get(_key(actual))
    if not isinstance(label, str):
        named = ", ".join(labels[:LABELS_NAMED]) + (", …" if len(labels) > LABELS_NAMED else "")
        raise InvalidInput([Problem(None, "unknown_class", f"Must be one of: {named}.", pointer)])
    return label


def _key(value: Any) -> tuple[bool, Any]:
    """A key that tells the class 1 from the class true, which are equal in Python."""
    return isinstance(value, bool), value
