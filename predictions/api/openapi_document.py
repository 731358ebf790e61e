"""Completes the OpenAPI document: security, servers, response headers, and a typed path for each model that serves.

A client that is generated from the general path `models/{name}/predictions/` works for every model, also for those
that are added later. The typed paths are for people and for stricter clients.
"""

from typing import Any

from django.conf import settings
from django.urls import reverse

from predictions.api.threads import caller_of, request_of
from predictions.models import ModelVersion, RegisteredModel

PREDICT_PATH = "/api/v1/models/{name}/predictions/"
# Schemas of bodies that have no other members.
STRICT = ("OneRow", "SeveralRows", "WebhookTarget", "FeedbackBody")
Json = dict[str, Any]


def complete(result: Json, generator: Any, request: Any, public: bool) -> Json:
    """A hook of drf-spectacular. Only the served schema has paths of single models: the one in the repository must not
    depend on a database. Where predictions are not public, callers without a token do not see these paths."""
    _set_security(result, may_be_anonymous=request is not None and settings.PUBLIC_PREDICTIONS)
    for said in _operations(result):
        _add_headers(said)
        _add_links(said)
        if "requestBody" in said:
            said["requestBody"]["required"] = True
    for name in STRICT:
        result["components"]["schemas"][name]["additionalProperties"] = False
    if request is None:
        return result
    result["servers"] = [{"url": request_of(request).origin}]
    if PREDICT_PATH in result["paths"] and (settings.PUBLIC_PREDICTIONS or caller_of(request).user):
        for model in RegisteredModel.objects.listed():
            if model.champion is not None and caller_of(request).only_model in ("", model.name):
                _add_model(result, model, model.champion)
    return result


def _add_model(result: Json, model: RegisteredModel, version: ModelVersion) -> None:
    general = result["paths"][PREDICT_PATH]["post"]
    suffix = model.name.replace("-", "_")
    schemas = result["components"]["schemas"]
    schemas[f"Features_{suffix}"] = features(version.signature.json_schema())
    row = {"$ref": f"#/components/schemas/Features_{suffix}"}
    beside = {name: schemas["OneRow"]["properties"][name] for name in ("version", "webhook")}
    one = {"features": row, **beside}
    many = {"rows": {**schemas["SeveralRows"]["properties"]["rows"], "items": row}, **beside}
    schema = {"anyOf": [_object(one, "features"), _object(many, "rows")]}
    examples = model.description.get("examples", [])
    example = {"example": {"features": examples[0]["values"]}} if examples else {}
    result["paths"][reverse("api-predict", args=[model.name])] = {
        "post": {
            **general,
            "operationId": f"{general['operationId']}_{suffix}",
            "summary": f"Predict by {model.title}",
            "parameters": [one for one in general["parameters"] if one["in"] != "path"],
            "requestBody": {"content": {"application/json": {"schema": schema, **example}}, "required": True},
        }
    }


def _object(properties: Json, required: str) -> Json:
    return {"type": "object", "properties": properties, "required": [required], "additionalProperties": False}


def features(schema: Json) -> Json:
    """An object by name, or a list in signature order. Generators of clients understand `anyOf` and `items: {}`, but
    neither `oneOf` of an object and an array nor `items: false`."""
    by_name = {word: value for word, value in schema.items() if word != "$schema"}
    columns = list(schema["properties"].values())
    in_order = {"type": "array", "prefixItems": columns, "items": {}}
    return {"anyOf": [by_name, {**in_order, "minItems": len(columns), "maxItems": len(columns)}]}


def _set_security(result: Json, *, may_be_anonymous: bool) -> None:
    """A token for every operation; none is needed where predictions are public."""
    for said in _operations(result):
        said["security"] = [{"token": []}, *([{}] if may_be_anonymous else [])]


# --- Headers of responses ---------------------------------------------------------------------------------------------
def _text(description: str, **schema: Any) -> Json:
    return {"description": description, "schema": {"type": "string", **schema}}


RETRY_AFTER = {
    "description": "Seconds after which to ask again.",
    "schema": {"type": "integer", "minimum": 1, "maximum": 300},
}
ALWAYS = {"X-Request-ID": _text("Names the request in the server's log.")}
BY_STATUS: dict[str, Json] = {
    "202": {"Retry-After": RETRY_AFTER},
    "304": {"ETag": _text("Of the state that the client has.")},
    "401": {"WWW-Authenticate": _text("RFC 6750; with a token, why it was refused.")},
    "415": {"Accept": _text("What is accepted.")},
    "429": {"Retry-After": RETRY_AFTER},
    "503": {"Retry-After": RETRY_AFTER},
}
PREDICTION = {
    "Location": _text("Where one prediction can be read.", format="uri"),
    "Preference-Applied": _text("`wait=<seconds>`, if the request waited."),
    "Server-Timing": _text("`queue`, `predict` and `total`, in milliseconds, once it has ended."),
}
BY_OPERATION: dict[tuple[str, str], Json] = {
    ("create_prediction", "200"): PREDICTION,
    ("create_prediction", "202"): {"Location": PREDICTION["Location"]},
    ("read_prediction", "200"): {
        "ETag": _text("Changes with the state."),
        "Preference-Applied": PREDICTION["Preference-Applied"],
        "Server-Timing": PREDICTION["Server-Timing"],
    },
}


def _add_headers(said: Json) -> None:
    for status, response in said["responses"].items():
        own = BY_OPERATION.get((said["operationId"], status), {})
        response["headers"] = {**BY_STATUS.get(status, {}), **own, **ALWAYS}


# --- Links ------------------------------------------------------------------------------------------------------------
PREDICTION_LINKS = (
    "read_prediction",
    "read_prediction_events",
    "read_prediction_receipt",
    "explain_prediction",
    "cancel_prediction",
    "give_prediction_feedback",
    "read_prediction_feedback",
    "remove_prediction",
)
BATCH_LINKS = ("read_batch", "cancel_batch", "read_batch_results", "read_batch_errors")
# The OpenAPI links: the operations on the resource that another operation has created.
LINKS = {
    "create_prediction": ("prediction_id", PREDICTION_LINKS),
    "create_batch": ("job_id", BATCH_LINKS),
}


def _add_links(said: Json) -> None:
    parameter, operations = LINKS.get(said["operationId"], ("", ()))
    for status in ("200", "202"):
        if operations and status in said["responses"]:
            said["responses"][status]["links"] = {
                name: {"operationId": name, "parameters": {parameter: "$response.body#/id"}} for name in operations
            }


def _operations(result: Json) -> list[Json]:
    return [said for methods in result["paths"].values() for said in methods.values()]
