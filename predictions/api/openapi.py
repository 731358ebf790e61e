"""The OpenAPI 3 schema: what each operation takes and answers, and one request body for each model that serves."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from predictions.api import serializers as bodies
from predictions.api.headers import DURATION, KEY
from predictions.api.problems import MEDIA_TYPE
from predictions.api.threads import CallerAuthentication
from predictions.models import RegisteredModel, State

PREDICT_PATH = "/api/v1/models/{name}/predictions/"

# What any operation may answer besides its own.
PROBLEMS = {
    400: "Not JSON, or a header that means nothing.",
    401: "The token is not valid.",
    403: "Sign in, or send a token.",
    404: "There is no such thing, or it is not yours.",
    405: "Not with this method.",
    409: "Not in this state.",
    410: "Its data was removed.",
    413: "The body is too large.",
    415: "The body must be application/json.",
    422: "Bad input: every place with its reason.",
    429: "Too many in a short time; Retry-After says when.",
    503: "The queue is full, no version serves, or the database is away; Retry-After says when.",
}


def problems(*codes: int) -> dict[Any, OpenApiResponse]:
    return {(code, MEDIA_TYPE): OpenApiResponse(bodies.ProblemBody, PROBLEMS[code]) for code in codes}


def _header(name: str, description: str, **schema: Any) -> OpenApiParameter:
    return OpenApiParameter(name, {"type": "string", **schema}, OpenApiParameter.HEADER, description=description)


IDEMPOTENCY_KEY = _header(
    "Idempotency-Key", "The same key with the same body gives the same answer, for 24 hours.", pattern=KEY
)
ASK_HEADERS = [
    _header("Prefer", "`wait=<seconds>`: wait for the result so long, at most (RFC 7240)."),
    IDEMPOTENCY_KEY,
    _header("Cancel-After", "A duration such as `30s` or `5m`: the deadline; at most 24h.", pattern=DURATION),
]
FILTER_PARAMETERS = [
    OpenApiParameter("model", OpenApiTypes.STR),
    OpenApiParameter("status", OpenApiTypes.STR, enum=State.values),
    OpenApiParameter("created_after", OpenApiTypes.DATETIME),
    OpenApiParameter("created_before", OpenApiTypes.DATETIME),
    OpenApiParameter("cursor", OpenApiTypes.STR, description="From `next` or `previous`."),
    OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": 200}, description="Rows of a page."),
]


def operation(name: str, **said: Any) -> Callable[..., Any]:
    tag = next((tag for word, tag in (("rediction", "predictions"), ("batch", "batches")) if word in name), "models")
    return extend_schema(operation_id=name, tags=[tag], **said)


def add_models(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Give each model that serves a path of its own, with its signature as the body.

    Only in the served schema: the one in the repository must not depend on what a database holds.
    """
    _set_security(result, may_be_anonymous=request is not None and settings.PUBLIC_PREDICTIONS)
    if request is None or PREDICT_PATH not in result["paths"]:
        return result
    general = result["paths"].pop(PREDICT_PATH)["post"]
    for model in RegisteredModel.objects.listed():
        if model.champion is None:
            continue
        signature = model.champion.signature
        named = f"Features_{model.name.replace('-', '_')}"
        result["components"]["schemas"][named] = _features(signature.json_schema())
        body = {"type": "object", "properties": {"features": {"$ref": f"#/components/schemas/{named}"}}}
        content = {"application/json": {"schema": {**body, "required": ["features"], "additionalProperties": False}}}
        result["paths"][PREDICT_PATH.replace("{name}", model.name)] = {
            "post": {
                **general,
                "operationId": f"{general['operationId']}_{model.name.replace('-', '_')}",
                "summary": model.title,
                "parameters": [p for p in general["parameters"] if p["in"] != "path"],
                "requestBody": {"content": content, "required": True},
            }
        }
    return result


def _set_security(result: dict[str, Any], *, may_be_anonymous: bool) -> None:
    """A token for every operation; none is needed where predictions are public."""
    for methods in result["paths"].values():
        for said in methods.values():
            said["security"] = [{"token": []}, *([{}] if may_be_anonymous else [])]


def _features(schema: dict[str, Any]) -> dict[str, Any]:
    """An object by name, or a list in signature order."""
    by_name = {word: value for word, value in schema.items() if word != "$schema"}
    columns = list(schema["properties"].values())
    in_order = {"type": "array", "prefixItems": columns, "items": False, "minItems": len(columns)}
    return {"oneOf": [by_name, in_order]}


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI schema calls it."""

    target_class = CallerAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}
