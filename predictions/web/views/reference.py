"""The reference of a model for programs: requests to copy, the answer beside them, values, errors and limits."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from predictions.lifecycle import registry
from predictions.models import RegisteredModel
from predictions.serving.schema.errors import all_errors
from predictions.serving.schema.signature import Signature
from predictions.use_cases.lookup import find_model
from predictions.web.access import for_predictors
from predictions.web.compression import compressed
from predictions.web.examples import requests
from predictions.web.formatting import duration_text


@compressed
@require_safe
@for_predictors
def reference(request: HttpRequest, name: str) -> HttpResponse:
    registered = find_model(name)
    version = registry.champion(registered)
    url = request.build_absolute_uri(reverse("api-predict", args=[registered.name]))
    context = {
        "model": registered,
        "url": url,
        "version": version,
        "requests": requests(url, _row(registered)),
        "properties": _properties(version.signature) if version else [],
        "errors": _errors(),
        "limits": _limits(),
    }
    return render(request, "predictions/reference.html", context)


def _errors() -> list[dict[str, Any]]:
    """As values: a template would call the classes."""
    known = [error for error in all_errors() if getattr(error, "sentence", "")]
    return [{"code": error.code, "sentence": error.sentence, "retryable": error.retryable} for error in known]


def _row(registered: RegisteredModel) -> dict[str, Any]:
    """The values of the first example, or none."""
    examples = registered.description.get("examples", [])
    row: dict[str, Any] = examples[0]["values"] if examples else {}
    return row


def _properties(signature: Signature) -> list[dict[str, Any]]:
    schema = signature.json_schema()
    return [
        {
            "name": name,
            "type": " or ".join(_types(said)),
            "limits": _range(said),
            "unit": said.get("x-unit", ""),
            "is_required": name in schema["required"],
        }
        for name, said in schema["properties"].items()
    ]


def _types(said: dict[str, Any]) -> list[str]:
    if "enum" in said:
        return ["one of " + ", ".join("null" if value is None else repr(value) for value in said["enum"][:8])]
    kinds = said["type"]
    return list(kinds) if isinstance(kinds, list) else [kinds]


def _range(said: dict[str, Any]) -> str:
    low = f"from {said['minimum']:g}" if "minimum" in said else ""
    high = f"to {said['maximum']:g}" if "maximum" in said else ""
    return f"{low} {high}".strip()


def _limits() -> list[tuple[str, str]]:
    megabytes = settings.DATA_UPLOAD_MAX_MEMORY_SIZE / 2**20
    return [
        ("Predictions of one caller in a time", settings.SUBMIT_RATE or "no limit"),
        ("Rows of one caller that may wait", str(settings.MAX_QUEUED_PER_CALLER)),
        ("Rows that may wait in all", str(settings.MAX_QUEUED)),
        ("Longest wait of a request (Prefer: wait)", f"{settings.WAIT_MAX:g} s"),
        ("Time until a prediction expires", duration_text(settings.PREDICTION_TIME)),
        ("Largest body", f"{megabytes:.0f} MB"),
    ]
