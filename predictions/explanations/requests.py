"""Asks for an explanation or a what-if of an answer, and reads it. Nothing here needs numpy."""

from collections.abc import Mapping, Sequence
from typing import Any

from predictions.models import Computation, Prediction, State
from predictions.models.computation import Kind
from predictions.queue import notifications
from predictions.serving.schema.errors import NoAnswer, TooManyQuestions
from predictions.serving.schema.signature import Value

# At most this many questions about one answer are kept. Each costs a row and a predict call.
MOST_QUESTIONS = 200
# A part of each request for an explanation. Another number makes workers compute again what earlier releases computed.
EDITION = 2


def explanation(prediction: Prediction) -> Computation:
    """The request for an answer's explanation, with the result once a worker has computed it. Notifies a worker if due.

    Raises:
        NoAnswer: the prediction has not succeeded.
    """
    return _asked(prediction, Kind.EXPLANATION, {"edition": EDITION})


def what_if(prediction: Prediction, values: Sequence[Any] | None = None) -> Computation:
    """The request for what would change an answer. With `values`, a cleaned row, it also asks for its answer.

    Raises:
        NoAnswer: the prediction has not succeeded.
        TooManyQuestions: too many other rows were asked about.
    """
    return _asked(prediction, Kind.WHAT_IF, {} if values is None else {"values": list(values)})


def changed_row(prediction: Prediction, changes: Mapping[str, Any]) -> list[Value]:
    """The row of the prediction with other values, cleaned. Raises InvalidInput."""
    signature = prediction.version.signature
    return signature.clean({**dict(zip(signature.names, prediction.values, strict=True)), **changes})


def _asked(prediction: Prediction, kind: Kind, arguments: dict[str, Any]) -> Computation:
    if prediction.state != State.SUCCEEDED:
        raise NoAnswer
    is_new = "values" in arguments and not Computation.objects.asked(prediction, kind, arguments)
    if is_new and Computation.objects.filter(prediction=prediction).count() >= MOST_QUESTIONS:
        raise TooManyQuestions
    found = Computation.objects.ask(prediction, kind, arguments)
    # A message may be lost, and a worker may die: each poll of a waiting page sends it again if it is due.
    if not found.is_terminal and Computation.objects.take_turn_to_notify(found.pk):
        notifications.ask_to_compute(found.pk)
    return found
