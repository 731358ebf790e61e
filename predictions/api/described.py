"""The operations of `predictions.api.operations` as the OpenAPI schema and `reverse` see them.

`predictions.api.routes` answers their addresses before Django's URLs are asked, so these views are never called.
"""

import uuid

from drf_spectacular.utils import OpenApiResponse
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

from predictions.api import serializers as bodies
from predictions.api.openapi import ASK_HEADERS, operation, problems


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
    raise NotImplementedError


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
    raise NotImplementedError
