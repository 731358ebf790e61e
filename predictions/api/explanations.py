"""Explanations and what-ifs of answers in the JSON API. A worker computes each once; clients poll for it."""

import uuid
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

from predictions.api import representation
from predictions.api.openapi import operation, problems
from predictions.api.parsers import parse
from predictions.api.serializers import Output
from predictions.api.threads import caller_of
from predictions.explanations import requests
from predictions.models import Computation
from predictions.models.computation import Kind
from predictions.serving.schema.errors import InvalidInput, Problem
from predictions.serving.schema.request_errors import NotJSON
from predictions.serving.schema.signature import Value
from predictions.use_cases.feedback import check_has_answer
from predictions.use_cases.lookup import find_prediction

STATUSES = ["queued", "succeeded", "failed"]
EXAMPLE = '{"bmi": 28.5}'


class Explained(serializers.Serializer[Any]):
    """`base` plus the contributions is `answer`: the mean answer of `rows` training rows, and the one to this row.

    On the scale `value` it is the number itself; on `probability` the shown probability of `label`, and on `log-odds`
    the logarithm of its odds. An answer that cannot be explained, one of a version without training rows for example,
    has a `reason` alone.
    """

    scale = serializers.ChoiceField(["value", "probability", "log-odds"], required=False)
    label = serializers.CharField(allow_null=True, required=False)  # type: ignore[assignment]  # see `serializers`
    method = serializers.ChoiceField(["exact", "sampled"], required=False)
    base = serializers.FloatField(required=False)
    answer = serializers.FloatField(required=False)
    rows = serializers.IntegerField(required=False)
    contributions = serializers.DictField(child=serializers.FloatField(), required=False)
    reason = serializers.CharField(required=False)


class ExplanationBody(serializers.Serializer[Any]):
    prediction = serializers.UUIDField()
    status = serializers.ChoiceField(STATUSES)
    explanation = Explained(allow_null=True)


@extend_schema_field({"anyOf": [{"type": "number"}, {"type": "string"}, {"type": "boolean"}, {"type": "null"}]})
class AnyValue(serializers.JSONField):
    """A value of a feature."""


class Point(serializers.Serializer[Any]):
    """`y` is the number, or the probability of `label`, if the feature were `x`."""

    x = serializers.FloatField()
    y = serializers.FloatField()
    outside = serializers.BooleanField(help_text="Whether the whole row would lie outside the training data.")


class Curve(serializers.Serializer[Any]):
    """`own` is the value that was asked; from `low` to `high` lie the training data. `moves` is how far the answer
    moves between them."""

    feature = serializers.CharField()
    own = serializers.FloatField(allow_null=True)
    moves = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    points = Point(many=True)


class Change(serializers.Serializer[Any]):
    feature = serializers.CharField()
    to = AnyValue()
    output = Output()

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Adds the field `from`, which is a keyword of Python."""
        return {"from": AnyValue(), **super().get_fields()}


class Tried(serializers.Serializer[Any]):
    """How many other values were tried for `change`, each alone, and for how many features."""

    features = serializers.IntegerField()
    values = serializers.IntegerField()


class WhatIf(serializers.Serializer[Any]):
    """How the estimate moves, not what a change would do. `curves` are of the features that move the answer most;
    `change` is the smallest change among those that were tried that gives another class, or a number outside the
    interval. Without it, nothing is known of values that were not tried. Results of earlier releases lack `tried`."""

    before = Output(allow_null=True, help_text="The answer to the row as it was asked.")
    changed = Output(allow_null=True, help_text="The answer to the row with the values of `features`.")
    label = serializers.CharField(allow_null=True)  # type: ignore[assignment]  # see `serializers`
    curves = Curve(many=True)
    change = Change(allow_null=True)
    tried = Tried(required=False)


class WhatIfBody(serializers.Serializer[Any]):
    prediction = serializers.UUIDField()
    status = serializers.ChoiceField(STATUSES)
    what_if = WhatIf(allow_null=True)


@operation(
    "explain_prediction",
    responses={
        200: ExplanationBody,
        202: OpenApiResponse(ExplanationBody, "Not computed yet: ask again."),
        **problems(401, 403, 404, 409, 410),
    },
)
@api_view(["GET", "HEAD"])
def explanation(request: Request, prediction_id: uuid.UUID) -> Response:
    """The contribution of each feature. The answer is their sum plus `base`. A worker computes them once."""
    found = requests.explanation(find_prediction(prediction_id, caller_of(request)))
    return _answer(found, Kind.EXPLANATION)


FEATURES = OpenApiParameter(
    "features",
    OpenApiTypes.STR,
    description=f"A JSON object with the values that are to differ, URL-encoded: `{EXAMPLE}`. The others stay.",
)


@operation(
    "what_if_prediction",
    parameters=[FEATURES],
    responses={
        200: WhatIfBody,
        202: OpenApiResponse(WhatIfBody, "Not computed yet: ask again with the same `features`."),
        **problems(400, 401, 403, 404, 409, 410, 422),
    },
)
@api_view(["GET", "HEAD"])
def what_if(request: Request, prediction_id: uuid.UUID) -> Response:
    """What would change the answer: curves, the smallest single change, and the answer to other values. A worker
    computes each once."""
    row = find_prediction(prediction_id, caller_of(request))
    check_has_answer(row)
    text = request.query_params.get("features")
    values = None if text is None else _changed(row, text)
    return _answer(requests.what_if(row, values), Kind.WHAT_IF)


what_if.query_parameters = ("features",)  # read by `threads.check_query`


def _changed(row: Any, text: str) -> list[Value]:
    """The row with other values. Raises InvalidInput."""
    try:
        given = parse(text.encode())
    except (NotJSON, UnicodeEncodeError):
        given = None
    if not isinstance(given, dict) or not given:
        message = f"Must be a JSON object with at least one value, such as {EXAMPLE}."
        raise InvalidInput([Problem(None, "wrong_type", message, "/features")])
    return requests.changed_row(row, given)


def _answer(found: Computation, kind: Kind) -> Response:
    status = "queued" if not found.is_terminal else "failed" if found.error_code else "succeeded"
    body = {"prediction": str(found.prediction_id), "status": status, MEMBERS[kind]: found.result or None}
    headers = {} if found.is_terminal else {"Retry-After": str(representation.RETRY_AFTER)}
    return Response(body, status=200 if found.is_terminal else 202, headers=headers)


MEMBERS = {Kind.EXPLANATION: "explanation", Kind.WHAT_IF: "what_if"}
