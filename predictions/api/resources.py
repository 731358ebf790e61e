"""The JSON API: models, and predictions one at a time."""

import uuid
from contextlib import suppress
from typing import Any, NamedTuple

from django.http import Http404, HttpRequest
from django.utils.http import parse_etags
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

from predictions.api import representation
from predictions.api import serializers as bodies
from predictions.api.headers import PredictOptions, wishes
from predictions.api.lists import NewestFirst, chosen
from predictions.api.openapi import ASK_HEADERS, FILTER_PARAMETERS, operation, problems
from predictions.api.problems import CannotCancel, NoAnswer, Removed
from predictions.lifecycle import registry
from predictions.models import Feedback, Prediction, RegisteredModel, Source, State, Tombstone
from predictions.models.ids import new_prediction_id
from predictions.queue import completions
from predictions.serving.schema.errors import InvalidInput, Problem
from predictions.serving.schema.wording import printable
from predictions.use_cases import submit
from predictions.use_cases.callers import caller_of, history_of


class ApiReply(NamedTuple):
    """An answer that either way can give: through the framework, or by `express`."""

    body: dict[str, Any] | None
    status: int
    headers: dict[str, str]

    def response(self) -> Response:
        return Response(self.body, status=self.status, headers=self.headers)


@operation("list_models", responses={200: bodies.ModelList, **problems(401, 403)})
@api_view(["GET", "HEAD"])
def models(request: Request) -> Response:
    return Response({"results": [representation.model(request, model) for model in RegisteredModel.objects.listed()]})


@operation("read_model", responses={200: bodies.ModelBody, **problems(401, 403, 404)})
@api_view(["GET", "HEAD"])
def model(request: Request, name: str) -> Response:
    registered = find_model(name)
    versions = list(registered.versions.order_by("-number"))
    return Response(representation.model_in_full(request, registered, versions))


@operation(
    "create_prediction",
    request=bodies.PredictRequest,
    parameters=ASK_HEADERS,
    responses={
        200: OpenApiResponse(bodies.PredictionBody, "Finished within the time."),
        202: OpenApiResponse(bodies.PredictionBody, "Accepted: it will end, whatever happens here."),
        **problems(400, 401, 403, 404, 413, 415, 422, 429, 503),
    },
)
@api_view(["POST"])
def predict(request: Request, name: str) -> Response:
    registered = find_model(name)
    asked = wishes(request)
    row = _submit_and_wait(request, registered, asked)
    return accepted(request, row, asked).response()


def accepted(request: Request | HttpRequest, row: Prediction, asked: PredictOptions) -> ApiReply:
    """200 for what has ended, 202 for what has not."""
    body = representation.prediction(request, row)
    headers = {"Location": body["urls"]["self"]}
    if not row.is_terminal:
        headers["Retry-After"] = str(representation.RETRY_AFTER)
        return ApiReply(body, 202, headers)
    if asked.wait:
        headers["Preference-Applied"] = f"wait={asked.wait:g}"
    return ApiReply(body, 200, {**headers, **_server_timing(row)})


def _submit_and_wait(request: Request, registered: RegisteredModel, asked: PredictOptions) -> Prediction:
    new_id = new_prediction_id()
    with completions.waiters.expecting(new_id, asked.wait) as place:
        row = submit.submit(
            submit.Request(
                registered,
                features_of(request.data),
                caller_of(request),
                Source.API,
                asked.idempotency_key,
                asked.time_allowed,
                new_id,
            )
        )
        if row.pk == new_id:
            with suppress(*submit.DATABASE_AWAY):  # it was accepted all the same
                completions.wait_for(row, place, asked.wait)
            return row
    # The key had been used: wait for the prediction that it belongs to.
    with completions.waiters.expecting(row.pk, asked.wait) as place, suppress(*submit.DATABASE_AWAY):
        if not row.refresh_status():
            completions.wait_for(row, place, asked.wait)
    return row


def features_of(body: Any) -> Any:
    if not isinstance(body, dict) or "features" not in body:
        raise InvalidInput([Problem(None, "missing", 'The body must be an object: {"features": {…}}.')])
    if unknown := sorted(body.keys() - {"features"}):
        message = f'Only "features" belongs here, not "{printable(unknown[0])}".'
        raise InvalidInput([Problem(None, "unknown_member", message)])
    return body["features"]


@operation(
    "list_predictions",
    parameters=FILTER_PARAMETERS,
    responses={200: bodies.PredictionPage, **problems(401, 403, 404, 422)},
)
@api_view(["GET", "HEAD"])
def predictions(request: Request) -> Response:
    """Mine, newest first; `next` and `previous` are the addresses of the neighbouring pages."""
    pages = NewestFirst()
    page = pages.paginate_queryset(chosen(request, history_of(request)), request) or []
    return pages.get_paginated_response([representation.prediction(request, row) for row in registry.complete(page)])


@operation(
    "read_prediction",
    responses={
        200: bodies.PredictionBody,
        304: OpenApiResponse(None, "As the ETag says, nothing has changed."),
        **problems(401, 403, 404, 410),
    },
)
@api_view(["GET", "HEAD"])
def prediction(request: Request, prediction_id: uuid.UUID) -> Response:
    return shown(request, _find_prediction(request, prediction_id)).response()


def shown(request: Request | HttpRequest, row: Prediction) -> ApiReply:
    """200, or 304 if the client has it as it is."""
    etag = f'"{row.state}-{row.attempts}"'
    if _is_known(etag, request.headers.get("If-None-Match", "")):
        return ApiReply(None, 304, {"ETag": etag})
    return ApiReply(representation.prediction(request, row), 200, {"ETag": etag, **_server_timing(row)})


@operation(
    "cancel_prediction", request=None, responses={200: bodies.PredictionBody, **problems(401, 403, 404, 409, 410)}
)
@api_view(["POST"])
def cancel(request: Request, prediction_id: uuid.UUID) -> Response:
    row = _find_prediction(request, prediction_id)
    if not Prediction.objects.filter(pk=row.pk).cancel():
        raise CannotCancel
    completions.announce([row.pk])
    return Response(representation.prediction(request, _find_prediction(request, prediction_id)))


@operation(
    "give_prediction_feedback",
    request=bodies.FeedbackBody,
    responses={
        200: OpenApiResponse(bodies.FeedbackAnswer, "Replaced an earlier word."),
        201: bodies.FeedbackAnswer,
        **problems(400, 401, 403, 404, 409, 410, 413, 415, 422),
    },
)
@api_view(["POST"])
def feedback(request: Request, prediction_id: uuid.UUID) -> Response:
    """Say whether an answer was right, or what was true; a later word replaces an earlier one."""
    row = _find_prediction(request, prediction_id)
    if row.state != State.SUCCEEDED:
        raise NoAnswer
    said = bodies.FeedbackBody(data=request.data)
    said.is_valid(raise_exception=True)
    kept, is_new = Feedback.objects.say(row, caller_of(request).key, **said.validated_data)
    return Response({"prediction": str(row.pk), **bodies.FeedbackBody(kept).data}, status=201 if is_new else 200)


@extend_schema(exclude=True)
@api_view(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def nothing(request: Request) -> Response:
    """Whatever else stands under the API's address: a problem as JSON, not a page."""
    raise Http404


def find_model(name: str) -> RegisteredModel:
    try:
        return registry.find(name)
    except RegisteredModel.DoesNotExist:
        raise Http404 from None


def _find_prediction(request: Request, prediction_id: uuid.UUID) -> Prediction:
    found = Prediction.objects.find(prediction_id, request.user)
    if found is None:
        raise Removed if Tombstone.objects.stands_for(prediction_id) else Http404
    return registry.complete([found])[0]


def _is_known(etag: str, if_none_match: str) -> bool:
    """RFC 9110, section 13.1.2: any of a list, compared weakly, or `*`."""
    return any(known in ("*", etag, f"W/{etag}") for known in parse_etags(if_none_match))


def _server_timing(row: Prediction) -> dict[str, str]:
    """Server-Timing (W3C), in milliseconds; nothing before the end."""
    if not row.is_terminal:
        return {}
    marks = {name.removesuffix("_ms"): ms for name, ms in representation.timing(row).items() if ms is not None}
    return {"Server-Timing": ", ".join(f"{name.replace('queued', 'queue')};dur={ms:.3f}" for name, ms in marks.items())}
