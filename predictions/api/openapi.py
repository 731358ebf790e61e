"""The OpenAPI 3 schema: what each operation takes and answers. `openapi_document` completes it."""

from collections.abc import Callable
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from predictions.api import serializers as bodies
from predictions.api.headers import DURATION, KEY
from predictions.api.problems import MEDIA_TYPE
from predictions.api.threads import CallerAuthentication
from predictions.models import Source, State
from predictions.serving.schema.sentences import english

# The problems that operations may answer with, by status.
PROBLEMS = {
    400: "Not JSON, a body that is empty or does not come to its end, or a header that means nothing.",
    401: "The token is not valid, or one is needed.",
    403: "The token may not do this, or it is not yours to change.",
    404: "There is no such thing, or it is not yours.",
    405: "Not with this method.",
    409: "Not in this state.",
    410: "Its data was removed.",
    413: "The body is too large.",
    415: "The body must be application/json.",
    422: "Bad input: every place with its reason.",
    429: "Too many in a short time; Retry-After says when.",
    501: "A transfer coding other than chunked.",
    503: "The queue is full, no version serves, or the database is away; Retry-After says when.",
}
# The one-line summary of each operation. The page of the API translates it.
SUMMARIES = {
    "read_index": english("Where everything is"),
    "list_models": english("The models that serve"),
    "read_model": english("One model: what it takes, its versions and metrics"),
    "change_model": english("Promote, roll back, archive or pause"),
    "create_prediction": english("Predict one row, or several"),
    "read_prediction": english("One prediction"),
    "remove_prediction": english("Remove a prediction for good"),
    "list_predictions": english("My predictions, newest first"),
    "cancel_prediction": english("Cancel a prediction"),
    "read_prediction_feedback": english("My feedback on a prediction"),
    "give_prediction_feedback": english("Say whether an answer was right"),
    "replace_prediction_feedback": english("Replace my feedback"),
    "explain_prediction": english("What each feature adds to an answer"),
    "what_if_prediction": english("What would change an answer"),
    "read_prediction_receipt": english("Which artefact answered which input"),
    "read_prediction_webhook": english("What came of a prediction's webhook"),
    "read_webhook_secret": english("The secret that signs the webhooks of this token"),
    "list_batches": english("My files, newest first"),
    "create_batch": english("Score a file, or many rows"),
    "read_batch": english("One file and its progress"),
    "cancel_batch": english("Cancel a file"),
    "correct_batch": english("Send corrected rows of a file"),
    "read_batch_results": english("The results of a file"),
    "read_batch_errors": english("The bad rows of a file"),
    "read_prediction_events": english("A prediction's changes of state, as they happen"),
}
# The longer description of each operation whose function has no docstring.
DESCRIPTIONS = {
    "list_models": "Each with its title, its task, the version that serves and the addresses of its operations.",
    "read_model": "`signature` is a JSON Schema of a row; `example` is a row that can be sent as it is.",
    "create_prediction": "Takes `features`, or `rows` of which all are accepted or none. 202 means kept: the prediction"
    " ends in any case, with an answer or with a reason. `Prefer: wait` waits for the answer.",
    "read_prediction_events": "Server-sent events: one for each change of state, and the last one has the answer. A"
    " stream that broke goes on from `Last-Event-ID`.",
    "cancel_prediction": "Ends a prediction that has no answer yet. One that has ended stays as it is: 409.",
    "list_batches": "The files that this caller sent, with their progress.",
    "create_batch": "A file in a form, or `rows` in JSON. Each line is answered once, in order; bad ones stop nothing.",
    "read_batch": "How many rows are done, how many were bad, and the addresses of the results.",
}


def problems(*codes: int) -> dict[Any, OpenApiResponse]:
    return {(code, MEDIA_TYPE): OpenApiResponse(bodies.ProblemBody, PROBLEMS[code]) for code in codes}


def _header(name: str, description: str, **schema: Any) -> OpenApiParameter:
    return OpenApiParameter(name, {"type": "string", **schema}, OpenApiParameter.HEADER, description=description)


WAIT_HEADER = _header("Prefer", "`wait=<seconds>`: wait for the result so long, at most (RFC 7240).")
IDEMPOTENCY_KEY = _header(
    "Idempotency-Key", "The same key with the same body gives the same answer, for 24 hours.", pattern=KEY
)
ASK_HEADERS = [
    WAIT_HEADER,
    IDEMPOTENCY_KEY,
    _header("Cancel-After", "A duration such as `30s` or `5m`: the deadline; at most 24h.", pattern=DURATION),
]
EVENT_HEADER = _header("Last-Event-ID", "The id of the last event that was received.")
READ_HEADERS = [
    WAIT_HEADER,
    _header("If-None-Match", "An `ETag` that was given before: 304 if nothing has changed."),
]


def _several(name: str, values: list[str]) -> OpenApiParameter:
    schema = {"type": "array", "items": {"type": "string", "enum": values}, "minItems": 1}
    return OpenApiParameter(name, schema, explode=False, style="form", description="One or several.")


FILTER_PARAMETERS = [
    OpenApiParameter("model", OpenApiTypes.STR, description="The name of a model."),
    OpenApiParameter("version", {"type": "integer", "minimum": 1, "maximum": 999_999_999}),
    _several("status", list(State.values)),
    _several("source", list(Source.values)),
    OpenApiParameter("created_after", OpenApiTypes.DATETIME),
    OpenApiParameter("created_before", OpenApiTypes.DATETIME),
    OpenApiParameter("cursor", OpenApiTypes.STR, description="From `next` or `previous`."),
    OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": 200}, description="Rows of a page."),
]


def operation(name: str, **said: Any) -> Callable[..., Any]:
    tag = next((tag for word, tag in (("rediction", "predictions"), ("batch", "batches")) if word in name), "models")
    return extend_schema(
        operation_id=name, summary=SUMMARIES[name], description=DESCRIPTIONS.get(name), tags=[tag], **said
    )


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describes `CallerAuthentication` in the OpenAPI schema."""

    target_class = CallerAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}
