"""Infer: accept several rows and wait for all of them. They are predictions as those of the JSON API."""

import asyncio

from django.conf import settings

from predictions.api import addresses
from predictions.api.headers import read_options
from predictions.api.http import ApiReply, ApiRequest
from predictions.api.inference_protocol import inputs, messages, outputs
from predictions.api.operations import LARGE_BODY, accept_and_wait
from predictions.models import ModelVersion, Prediction, Source, State
from predictions.models.ids import new_prediction_ids
from predictions.serving.schema.errors import ERRORS, Canceled, ForetellError, ModelFailure, NotInTime
from predictions.serving.schema.signature import Value
from predictions.use_cases import lookup
from predictions.use_cases.submit import PredictCommand

# A request always waits for its answers, but not longer than this.
LONGEST_WAIT = 30.0

Read = tuple[messages.InferenceRequest, list[messages.RequestedOutput], list[list[Value]]]


async def infer(request: ApiRequest, name: str, number: str | None = None) -> ApiReply:
    """POST /v2/models/<name>[/versions/<number>]/infer."""
    options = read_options(request.headers, request.caller)
    version = await lookup.version(name, number, request.caller)
    asked, wanted, rows = await _read(request, version)
    ids = new_prediction_ids(len(rows))
    key, allowed = options.idempotency_key, options.time_allowed
    is_pinned = number is not None
    answers = await _answers(
        request, PredictCommand(version, rows, ids, request.caller, Source.API, key, allowed, is_pinned)
    )
    # A key that was used before is answered by the version that it was used with.
    given = [(outputs.tensor(output.name, answers, answers[0].version), output.as_bytes) for output in wanted]
    return messages.reply(asked, answers[0].version, given)


async def _read(request: ApiRequest, version: ModelVersion) -> Read:
    if len(request.body) > LARGE_BODY:
        return await asyncio.get_running_loop().run_in_executor(lookup.reading, _read_now, request, version)
    return _read_now(request, version)


def _read_now(request: ApiRequest, version: ModelVersion) -> Read:
    asked = messages.read(request)
    return asked, outputs.wanted(asked, version), inputs.rows(asked, version.signature)


async def _answers(request: ApiRequest, command: PredictCommand) -> list[Prediction]:
    """The succeeded predictions of cleaned rows, in order.

    Raises:
        NotInTime: all rows were accepted, and some have not ended yet.
        ForetellError: all rows have ended, and not all have an answer; or nothing was accepted.
    """
    seconds = min(settings.WAIT_MAX, LONGEST_WAIT)
    predictions = await accept_and_wait(command, seconds)
    if not all(prediction.is_terminal for prediction in predictions):
        raise NotInTime(seconds, [addresses.of_prediction(request.origin, one.pk) for one in predictions])
    failed = [row for row, prediction in enumerate(predictions) if prediction.state != State.SUCCEEDED]
    if failed:
        raise _failure(failed[0], predictions[failed[0]], len(failed) - 1)
    return predictions


def _failure(row: int, prediction: Prediction, others: int) -> ForetellError:
    """The error of the whole request: that of the first row that failed. It names the row."""
    kind = Canceled if prediction.state == State.CANCELED else ERRORS.get(prediction.error_code, ModelFailure)
    error = kind.__new__(kind)
    more = f" {others} more failed." if others else ""
    error.sentence = f"Row {row} has no answer: {kind.sentence}{more}"
    error.retry_after = 5 if kind.retryable else None
    return error
