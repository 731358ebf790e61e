"""Errors of a request as problem details (RFC 9457). Every error becomes its status here, and nowhere else."""

import logging
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

from predictions.serving.schema.errors import ForetellError, InvalidInput, ModelUnavailable, Problem, QueueFull
from predictions.use_cases.admission import TooMany
from predictions.use_cases.submit import KeyReused

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

STATUS: Mapping[type[ForetellError], int] = {InvalidInput: 422, ModelUnavailable: 503, QueueFull: 503}
# Seconds after which it is worth to try again.
RETRY_SECONDS = 5


class CannotCancel(exceptions.APIException):
    status_code = 409
    default_code = "not_cancelable"
    default_detail = "The prediction has already ended; there is nothing to cancel."


class NoAnswer(exceptions.APIException):
    status_code = 409
    default_code = "no_answer"
    default_detail = "Only a prediction that succeeded has an answer to give feedback on."


class Removed(exceptions.APIException):
    status_code = 410
    default_code = "removed"
    default_detail = "The prediction's data was removed: its time was over, or its owner removed it."


def handle(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's exception handler. None lets the error go on as a 500, which is logged and shown without its text."""
    if isinstance(error, ForetellError):
        return _of_ours(error)
    if isinstance(error, KeyReused):
        return problem(422, "idempotency_key_reused", "This Idempotency-Key belongs to another request body.")
    if isinstance(error, TooMany):
        return problem(
            429, "too_many", "Too many predictions asked for in a short time.", retry_after=error.retry_after
        )
    if isinstance(error, Http404):
        return problem(404, "not_found", "There is no such model or prediction, or it is not yours.")
    if isinstance(error, PermissionDenied):
        return problem(403, "forbidden", "You may not do that.")
    if isinstance(error, RequestDataTooBig):
        return problem(413, "too_large", "The body is too large for one row; send files to the batches.")
    if isinstance(error, OperationalError | InterfaceError):
        logger.error("the database is away: %s", type(error).__name__)
        return problem(
            503, "database_away", "The database does not answer; nothing was kept.", retry_after=RETRY_SECONDS
        )
    if isinstance(error, exceptions.APIException):
        return _of_the_framework(error)
    return None


def problem(status: int, code: str, detail: str, *, retry_after: int | None = None, **more: Any) -> Response:
    """One answer: `type` is about:blank, so `title` is the status's own; `code` is stable."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        **more,
    }
    headers = {"Retry-After": str(retry_after)} if retry_after is not None else None
    return Response(body, status=status, headers=headers, content_type=MEDIA_TYPE)


def _of_ours(error: ForetellError) -> Response:
    status = STATUS[type(error)]
    if isinstance(error, InvalidInput):
        return problem(status, error.code, error.sentence, errors=[entry(p) for p in error.problems])
    wait = error.retry_after if isinstance(error, QueueFull) else RETRY_SECONDS
    return problem(status, error.code, error.sentence, retry_after=wait)


def entry(found: Problem) -> dict[str, str]:
    """A JSON Pointer (RFC 6901) to the place, and what to do about it."""
    name = (found.feature or "").replace("~", "~0").replace("/", "~1")
    pointer = "/features" if found.feature is None else f"/features/{name}"
    return {"pointer": pointer, "code": found.code, "message": found.message}


def _entries(detail: Any, pointer: str = "") -> Iterator[dict[str, str]]:
    """DRF's nested errors, flat."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _entries(inner, pointer if name == "non_field_errors" else f"{pointer}/{name}")
    elif isinstance(detail, list):
        for inner in detail:
            yield from _entries(inner, pointer)
    else:
        yield {"pointer": pointer, "code": str(detail.code), "message": str(detail)}


def _of_the_framework(error: exceptions.APIException) -> Response:
    if isinstance(error, exceptions.ValidationError):
        return problem(422, "invalid_input", "Some values need another look.", errors=list(_entries(error.detail)))
    codes = error.get_codes()
    code = codes if isinstance(codes, str) else "invalid_input"
    wait = getattr(error, "wait", None)
    response = problem(
        error.status_code,
        {"parse_error": "not_json", "throttled": "too_many"}.get(code, code),
        str(error.detail),
        retry_after=None if wait is None else max(1, round(wait)),
    )
    if header := getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = header
    return response
