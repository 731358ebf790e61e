"""Errors as replies: `{"error": …}` under /v2, and problem details (RFC 9457) on all other paths of the API.

This is the only place where an error of the product becomes an HTTP status.
"""

import logging
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import Http404
from rest_framework import exceptions

from predictions.api.http import JSON, ApiReply, json_reply
from predictions.batches.limits import takes_file
from predictions.models.database import DATABASE_AWAY
from predictions.serving.schema import errors, request_errors
from predictions.serving.schema.errors import ForetellError, InvalidInput, Problem

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
NO_CONTENT = HTTPStatus.NO_CONTENT
NOT_MODIFIED = HTTPStatus.NOT_MODIFIED
# The names of RFC 9110. Python's names depend on its version: they are these from 3.13 on.
RENAMED = {413: "Content Too Large", 422: "Unprocessable Content"}
CHALLENGE = 'Bearer realm="foretell"'

STATUS: Mapping[type[ForetellError], int] = {
    errors.InvalidInput: 422,
    errors.ModelUnavailable: 503,
    errors.QueueFull: 503,
    errors.TooMany: 429,
    errors.TooManyRows: 422,
    errors.NotFound: 404,
    errors.Removed: 410,
    errors.NotAuthenticated: 401,
    errors.InvalidToken: 401,
    errors.Forbidden: 403,
    errors.OutOfScope: 403,
    errors.CannotCancel: 409,
    errors.CannotChange: 409,
    errors.NoAnswer: 409,
    errors.TooManyQuestions: 409,
    errors.KeyReused: 422,
    errors.DatabaseAway: 503,
    request_errors.BadRequest: 400,
    request_errors.NotJSON: 400,
    request_errors.BadHeader: 400,
    request_errors.MethodNotAllowed: 405,
    request_errors.TooLarge: 413,
    request_errors.FileTooLarge: 413,
    errors.TooManyFiles: 429,
    errors.NotCorrectable: 409,
    errors.NoResults: 409,
    request_errors.UnsupportedMediaType: 415,
    request_errors.ForeignOrigin: 403,
    errors.NotInstalled: 501,
    request_errors.UnsupportedTransferCoding: 501,
    errors.InternalError: 500,
    # The error with which a row has ended, if the reply must have the answer of the row.
    errors.ModelFailure: 500,
    errors.TimedOut: 504,
    errors.WorkerLost: 503,
    errors.Canceled: 409,
    errors.NotInTime: 504,
}
# The Open Inference Protocol has one status for a bad request.
PROTOCOL_STATUS: Mapping[type[ForetellError], int] = {**STATUS, errors.InvalidInput: 400, errors.TooManyRows: 400}


def reply(error: Exception, path: str) -> ApiReply:
    """The reply to a request that failed, in the format of `path`."""
    known = of(error)
    if path.startswith("/v2"):
        return _protocol_reply(known)
    status = STATUS[type(known)]
    body = {"type": "about:blank", "title": phrase(status), "status": status, "code": known.code}
    more = {"errors": [entry(problem) for problem in known.problems]} if isinstance(known, InvalidInput) else {}
    return json_reply(status, {**body, "detail": known.sentence, **more}, _headers(known), MEDIA_TYPE)


def _protocol_reply(error: ForetellError) -> ApiReply:
    body: dict[str, Any] = {"error": error.sentence}
    headers = _headers(error, "application/json, application/octet-stream")
    if isinstance(error, errors.NotInTime):
        body["predictions"], headers["Location"] = error.addresses, error.addresses[0]
    return json_reply(PROTOCOL_STATUS[type(error)], body, headers)


def phrase(status: int) -> str:
    """The name of an HTTP status."""
    return RENAMED.get(status) or HTTPStatus(status).phrase


def notes(error: BaseException | None) -> list[str]:
    """The notes of an error, which the log shows beside its status."""
    return getattr(error, "__notes__", [])


def too_large(path: str) -> request_errors.TooLarge:
    name = "BATCH_BYTES" if takes_file(path) else "DATA_UPLOAD_MAX_MEMORY_SIZE"
    error = request_errors.TooLarge()
    error.add_note(f"the body has more bytes than {name} = {getattr(settings, name)}")
    return error


def _headers(error: ForetellError, accepted: str = JSON) -> dict[str, str]:
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, request_errors.MethodNotAllowed):
        headers["Allow"] = ", ".join([*error.allowed, "OPTIONS"])
    if isinstance(error, request_errors.UnsupportedMediaType):
        types = ", ".join(error.accepted) or accepted
        headers |= {"Accept-Encoding": ", ".join(error.codings)} if error.codings else {"Accept": types}
    if isinstance(error, errors.InvalidToken):
        headers["WWW-Authenticate"] = f'{CHALLENGE}, error="invalid_token"'
    if isinstance(error, errors.OutOfScope):
        headers["WWW-Authenticate"] = f'{CHALLENGE}, error="insufficient_scope"'
    if isinstance(error, errors.NotAuthenticated):
        headers["WWW-Authenticate"] = CHALLENGE
    return headers


def of(error: Exception) -> ForetellError:
    """The error of our own tree for any exception; InternalError for one that is not expected."""
    if isinstance(error, ForetellError):
        return error
    if isinstance(error, DATABASE_AWAY):
        logger.error("the database is away: %s", type(error).__name__)
        return errors.DatabaseAway()
    if isinstance(error, Http404):
        return errors.NotFound()
    if isinstance(error, RequestDataTooBig):
        return request_errors.TooLarge()
    if isinstance(error, exceptions.APIException):
        return _of_the_framework(error)
    return errors.InternalError()


def _of_the_framework(error: exceptions.APIException) -> ForetellError:
    if isinstance(error, exceptions.ValidationError):
        return InvalidInput(list(_problems(error.detail)))
    if isinstance(error, exceptions.NotFound):
        return errors.NotFound(str(error.detail))
    if isinstance(error, exceptions.UnsupportedMediaType):
        return request_errors.UnsupportedMediaType(str(error.detail))
    if isinstance(error, exceptions.ParseError):
        return request_errors.NotJSON(str(error.detail))
    return errors.InternalError()


def _problems(detail: Any, pointer: str = "") -> Iterator[Problem]:
    """The nested errors of a serializer as problems."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _problems(inner, pointer if name == "non_field_errors" else f"{pointer}/{name}")
    elif isinstance(detail, list):
        for inner in detail:
            yield from _problems(inner, pointer)
    else:
        yield Problem(None, str(detail.code), str(detail), pointer)


def entry(found: Problem) -> dict[str, str]:
    """One place to correct: a JSON Pointer (RFC 6901) into the body, a stable code, and a sentence."""
    pointer = found.pointer
    if pointer is None:
        name = (found.feature or "").replace("~", "~0").replace("/", "~1")
        pointer = "/features" if found.feature is None else f"/features/{name}"
    return {"pointer": pointer, "code": found.code, "message": found.message}
