"""The less frequent operations of the JSON API: lists, a model and its changes, cancel, feedback."""

import uuid
from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

from predictions.api import representation
from predictions.api import serializers as bodies
from predictions.api.change_body import read_change
from predictions.api.change_serializers import ChangeAnswer, ChangeBody
from predictions.api.feedback_body import read_feedback
from predictions.api.lists import PARAMETERS, NewestFirst, chosen
from predictions.api.openapi import FILTER_PARAMETERS, operation, problems
from predictions.api.parsers import check_json
from predictions.api.threads import caller_of, request_of
from predictions.lifecycle import registry
from predictions.models import Feedback, Prediction, RegisteredModel
from predictions.serving.schema.errors import NotAuthenticated, NotFound, OutOfScope
from predictions.use_cases.callers import history_of
from predictions.use_cases.cancel import cancel as cancel_prediction
from predictions.use_cases.feedback import check_has_answer, give_feedback
from predictions.use_cases.lookup import attach_feedback, find_model, find_prediction
from predictions.use_cases.operate import OPERATE, change


@operation("read_index", responses={200: bodies.Index, **problems(401)})
@api_view(["GET", "HEAD"])
def index(request: Request) -> Response:
    """The addresses of all parts of the API."""
    return Response(representation.index(_origin(request)))


@operation("list_models", responses={200: bodies.ModelList, **problems(401, 403)})
@api_view(["GET", "HEAD"])
def models(request: Request) -> Response:
    listed, only = RegisteredModel.objects.listed(), caller_of(request).only_model
    found = listed.filter(name=only) if only else listed
    return Response({"results": [representation.model(_origin(request), model) for model in found]})


@operation("read_model", responses={200: bodies.ModelBody, **problems(401, 403, 404)})
@api_view(["GET", "HEAD"])
def model(request: Request, name: str) -> Response:
    registered = find_model(name)
    versions = list(registered.versions.order_by("-number"))
    return Response(representation.model_in_full(_origin(request), registered, versions))


@operation(
    "change_model",
    request=ChangeBody,
    responses={
        200: ChangeAnswer,
        202: OpenApiResponse(ChangeAnswer, "A worker proves the version first."),
        **problems(400, 401, 403, 404, 409, 413, 415, 422),
    },
)
@api_view(["POST"])
def changes(request: Request, name: str) -> Response:
    """Change what serves. The token needs the scope `operate`, and its owner the permission of operators."""
    caller = caller_of(request)
    if caller.user is None:
        raise NotAuthenticated
    if not caller.may_operate or not caller.user.has_perm(OPERATE):
        raise OutOfScope("To change what serves, an operator needs a token that was made for it.")
    check_json(request_of(request))
    registered, asked = find_model(name), read_change(request_of(request).body, caller.user.get_username())
    made = change(registered, asked)
    registered = find_model(name)
    body = representation.model_in_full(_origin(request), registered, list(registered.versions.order_by("-number")))
    return Response({"detail": made.sentence, "model": body}, status=200 if made.is_done else 202)


@operation(
    "list_predictions",
    parameters=FILTER_PARAMETERS,
    responses={200: bodies.PredictionPage, **problems(401, 403, 404, 422)},
)
@api_view(["GET", "HEAD"])
def predictions(request: Request) -> Response:
    """The predictions of the caller, newest first. `next` and `previous` are addresses of the neighbouring pages."""
    pages = NewestFirst(request)
    page = pages.page(chosen(request, history_of(caller_of(request))))
    rows = registry.attach_versions(page)
    attach_feedback([(row, caller_of(request).key) for row in rows])
    return pages.response([representation.prediction(_origin(request), row) for row in rows])


predictions.query_parameters = PARAMETERS  # read by `threads.check_query`


@operation(
    "cancel_prediction", request=None, responses={200: bodies.PredictionBody, **problems(401, 403, 404, 409, 410)}
)
@api_view(["POST"])
def cancel(request: Request, prediction_id: uuid.UUID) -> Response:
    row = find_prediction(prediction_id, caller_of(request))
    cancel_prediction(row, caller_of(request))
    return Response(representation.prediction(_origin(request), row))


FEEDBACK_GIVEN = {
    200: OpenApiResponse(bodies.FeedbackAnswer, "Replaced earlier feedback."),
    201: bodies.FeedbackAnswer,
    **problems(400, 401, 403, 404, 409, 410, 413, 415, 422),
}


@operation(
    "read_prediction_feedback",
    responses={200: bodies.FeedbackAnswer, **problems(401, 403, 404, 410)},
    methods=["GET", "HEAD"],
)
@operation("give_prediction_feedback", request=bodies.FeedbackBody, responses=FEEDBACK_GIVEN, methods=["POST"])
@operation("replace_prediction_feedback", request=bodies.FeedbackBody, responses=FEEDBACK_GIVEN, methods=["PUT"])
@api_view(["GET", "HEAD", "POST", "PUT"])
def feedback(request: Request, prediction_id: uuid.UUID) -> Response:
    """Your own feedback: whether an answer was right, or what was true. A POST or a PUT replaces all of it."""
    row = find_prediction(prediction_id, caller_of(request))
    if request.method not in ("POST", "PUT"):
        attach_feedback([(row, caller_of(request).key)])
        if row.own_feedback is None:
            raise NotFound("You have given no feedback on this prediction.")
        return Response(_feedback(row, row.own_feedback))
    check_has_answer(row)
    check_json(request_of(request))
    said = read_feedback(request_of(request).body)
    kept, is_new = give_feedback(row, caller_of(request), **said)
    return Response(_feedback(row, kept), status=201 if is_new else 200)


def _feedback(row: Prediction, given: Feedback) -> dict[str, Any]:
    return {"prediction": str(row.pk), **(representation.feedback(given) or {})}


@extend_schema(exclude=True)
@api_view(["GET"])
def nothing(request: Request) -> Response:
    """Every other path of the API. This view is never called: `predictions.api.threads` refuses the request."""
    raise NotImplementedError


def _origin(request: Request) -> str:
    return request_of(request).origin
