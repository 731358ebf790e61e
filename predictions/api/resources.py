"""The operations of the JSON API that are asked rarely: lists, a model, cancel, feedback."""

import uuid

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

from predictions.api import representation
from predictions.api import serializers as bodies
from predictions.api.lists import NewestFirst, chosen
from predictions.api.openapi import FILTER_PARAMETERS, operation, problems
from predictions.api.threads import caller_of, request_of
from predictions.explanations import requests as explanations
from predictions.lifecycle import registry
from predictions.models import RegisteredModel
from predictions.use_cases.callers import history_of
from predictions.use_cases.cancel import cancel as cancel_prediction
from predictions.use_cases.feedback import check_has_answer, give_feedback
from predictions.use_cases.lookup import find_model, find_prediction


@operation("list_models", responses={200: bodies.ModelList, **problems(401, 403)})
@api_view(["GET", "HEAD"])
def models(request: Request) -> Response:
    return Response(
        {"results": [representation.model(_origin(request), model) for model in RegisteredModel.objects.listed()]}
    )


@operation("read_model", responses={200: bodies.ModelBody, **problems(401, 403, 404)})
@api_view(["GET", "HEAD"])
def model(request: Request, name: str) -> Response:
    registered = find_model(name)
    versions = list(registered.versions.order_by("-number"))
    return Response(representation.model_in_full(_origin(request), registered, versions))


@operation(
    "list_predictions",
    parameters=FILTER_PARAMETERS,
    responses={200: bodies.PredictionPage, **problems(401, 403, 404, 422)},
)
@api_view(["GET", "HEAD"])
def predictions(request: Request) -> Response:
    """Mine, newest first; `next` and `previous` are the addresses of the neighbouring pages."""
    pages = NewestFirst()
    page = pages.paginate_queryset(chosen(request, history_of(caller_of(request))), request) or []
    rows = [representation.prediction(_origin(request), row) for row in registry.attach_versions(page)]
    return pages.get_paginated_response(rows)


@operation(
    "cancel_prediction", request=None, responses={200: bodies.PredictionBody, **problems(401, 403, 404, 409, 410)}
)
@api_view(["POST"])
def cancel(request: Request, prediction_id: uuid.UUID) -> Response:
    row = find_prediction(prediction_id, caller_of(request))
    cancel_prediction(row, caller_of(request))
    return Response(representation.prediction(_origin(request), row))


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
    """Say whether an answer was right, or what was true; later feedback replaces earlier feedback."""
    row = find_prediction(prediction_id, caller_of(request))
    check_has_answer(row)
    said = bodies.FeedbackBody(data=request.data)
    said.is_valid(raise_exception=True)
    kept, is_new = give_feedback(row, caller_of(request), **said.validated_data)
    return Response({"prediction": str(row.pk), **bodies.FeedbackBody(kept).data}, status=201 if is_new else 200)


@operation(
    "explain_prediction",
    responses={
        200: bodies.ExplanationBody,
        202: OpenApiResponse(bodies.ExplanationBody, "Not computed yet: ask again."),
        **problems(401, 403, 404, 409, 410),
    },
)
@api_view(["GET", "HEAD"])
def explanation(request: Request, prediction_id: uuid.UUID) -> Response:
    """What each feature adds to the answer; base plus the contributions is the answer. A worker computes it once."""
    found = explanations.explanation(find_prediction(prediction_id, caller_of(request)))
    status = "queued" if not found.is_terminal else "failed" if found.error_code else "succeeded"
    body = {"prediction": str(prediction_id), "status": status, "explanation": found.result or None}
    headers = {} if found.is_terminal else {"Retry-After": str(representation.RETRY_AFTER)}
    return Response(body, status=200 if found.is_terminal else 202, headers=headers)


@extend_schema(exclude=True)
@api_view(["GET"])
def nothing(request: Request) -> Response:
    """Every other address of the API. Never called: the request is refused before."""
    raise NotImplementedError


def _origin(request: Request) -> str:
    return request_of(request).origin
