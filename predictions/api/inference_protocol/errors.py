"""The protocol's errors: `{"error": "…"}` and a status, whatever went wrong.

Tensors that cannot be read and values that the signature refuses are both 400, as the protocol says of a bad request;
the JSON API tells the two apart as 400 and 422.
"""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import RequestDataTooBig
from rest_framework import exceptions
from rest_framework.response import Response

from predictions.api import problems
from predictions.models import Prediction, State
from predictions.serving.schema.errors import ERRORS, ModelFailure, ModelUnavailable, TimedOut, WorkerLost

# What a row that failed makes of the whole answer.
STATUS: Mapping[str, int] = {
    ModelFailure.code: 500,
    ModelUnavailable.code: 503,
    TimedOut.code: 504,
    WorkerLost.code: 503,
}


class BadRequest(exceptions.APIException):
    status_code = 400


class Unknown(exceptions.APIException):
    status_code = 404


class NoPlaceToWait(exceptions.APIException):
    """An answer of this protocol is waited for, and as many requests wait here as may."""

    status_code = 503
    default_detail = "Too many requests wait for their answers here. Nothing was accepted; try again shortly."
    wait = 1


class NotInTime(exceptions.APIException):
    """The rows were accepted and will be answered, but not within this request. `addresses` is where."""

    status_code = 504

    def __init__(self, seconds: float, addresses: list[str]) -> None:
        super().__init__(
            f"Not finished within {seconds:g} s. The work goes on: the predictions can be read at the addresses given."
        )
        self.addresses = addresses


class RowFailed(exceptions.APIException):
    """One row or more have no answer; the first of them says why."""

    def __init__(self, row: int, prediction: Prediction, others: int) -> None:
        known = ERRORS.get(prediction.error_code)
        canceled = prediction.state == State.CANCELED
        sentence = "It was canceled." if canceled or known is None else known.sentence
        more = f" {others} more failed." if others else ""
        super().__init__(f"Row {row} has no answer: {sentence}{more}")
        self.status_code = 409 if canceled else STATUS.get(prediction.error_code, 500)
        if known is not None and known.retryable:
            self.wait = problems.RETRY_SECONDS


def handle(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """The JSON API's handling, in the protocol's words."""
    response = problems.handle(error, context)
    if response is None:
        return None
    sentence = "The body is too large." if isinstance(error, RequestDataTooBig) else response.data["detail"]
    response.data = {"error": sentence}
    response.content_type = "application/json"
    if isinstance(error, NotInTime):
        response.data["predictions"] = error.addresses
        response["Location"] = error.addresses[0]
    return response
