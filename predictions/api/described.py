"""Views that describe the operations of the event loop to the OpenAPI schema and to `reverse`.

`predictions.api.routes` answers these operations before Django's URLs are looked up. The views answer DELETE only.
"""

import uuid

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

from predictions.api import serializers as bodies
from predictions.api.openapi import ASK_HEADERS, EVENT_HEADER, READ_HEADERS, operation, problems
from predictions.api.threads import caller_of
from predictions.use_cases.erase import remove
from predictions.use_cases.lookup import find_prediction


@operation(
    "create_prediction",
    request=bodies.PredictRequest,
    parameters=ASK_HEADERS,
    responses={
        200: OpenApiResponse(bodies.PredictReply, "Finished within the time."),
        202: OpenApiResponse(bodies.PredictReply, "Accepted: it will end, whatever happens here."),
        **problems(400, 401, 403, 404, 413, 415, 422, 429, 503),
    },
)
@api_view(["POST"])
def predict(request: Request, name: str) -> Response:
    raise NotImplementedError


@operation(
    "read_prediction_events",
    parameters=[EVENT_HEADER],
    responses={
        (200, "text/event-stream"): OpenApiResponse(OpenApiTypes.ANY, "Events `status`, with the prediction as data."),
        204: OpenApiResponse(None, "The last event was received before: there will be no other."),
        **problems(401, 403, 404, 410),
    },
)
@api_view(["GET", "HEAD"])
def events(request: Request, prediction_id: uuid.UUID) -> Response:
    raise NotImplementedError


@operation(
    "read_prediction",
    methods=["GET", "HEAD"],
    parameters=READ_HEADERS,
    responses={
        200: bodies.PredictionBody,
        304: OpenApiResponse(None, "As the ETag says, nothing has changed."),
        **problems(401, 403, 404, 410),
    },
)
@operation(
    "remove_prediction",
    request=None,
    methods=["DELETE"],
    responses={204: OpenApiResponse(None, "Removed for good."), **problems(401, 403, 404, 410)},
)
@api_view(["GET", "HEAD", "DELETE"])
def prediction(request: Request, prediction_id: uuid.UUID) -> Response:
    """Read or remove a prediction. A removal cancels one that has not ended, and takes the feedback with it."""
    remove(find_prediction(prediction_id, caller_of(request)), caller_of(request))
    return Response(status=204)


@extend_schema(exclude=True)  # it belongs to the site, not to a version of the API
@api_view(["GET"])
def live(request: Request) -> Response:
    raise NotImplementedError
