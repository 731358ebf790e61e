"""The reference of a model for programs: requests to copy, the answer beside them, values, errors and limits."""

import json
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from predictions.lifecycle import registry
from predictions.models import RegisteredModel
from predictions.serving.schema.errors import all_errors
from predictions.serving.schema.signature import Signature
from predictions.use_cases.lookup import find_model
from predictions.web.access import for_predictors
from predictions.web.compression import compressed
from predictions.web.examples import requests
from predictions.web.formatting import duration_text, with_decimal_mark

# The type of a choice names at most this many of its values.
VALUES_NAMED = 8


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
    """The errors as dictionaries, because a template would call the classes."""
    known = [error for error in all_errors() if getattr(error, "sentence", "")]
    return [{"code": error.code, "sentence": error.sentence, "retryable": error.retryable} for error in known]


def _row(registered: RegisteredModel) -> dict[str, Any]:
    """The values of the first example; empty if there is no example."""
    examples = registered.description.get("examples", [])
    row: dict[str, Any] = examples[0]["values"] if examples else {}
    return row


def _properties(signature: Signature) -> list[dict[str, Any]]:
    schema = signature.json_schema()
    return [
        {
            "name": name,
            "type": _type_text(_types(said)),
            "limits": _range(said),
            "unit": said.get("x-unit", ""),
            "is_required": name in schema["required"],
        }
        for name, said in schema["properties"].items()
    ]


def _type_text(kinds: list[str]) -> str:
    if len(kinds) < 2:
        return "".join(kinds)
    return gettext("%(one)s or %(other)s") % {"one": ", ".join(kinds[:-1]), "other": kinds[-1]}


def _types(said: dict[str, Any]) -> list[str]:
    if "enum" in said:
        return [gettext("one of %(values)s") % {"values": _values_text(said["enum"])}]
    kinds = said["type"]
    return list(kinds) if isinstance(kinds, list) else [kinds]


def _values_text(values: list[Any]) -> str:
    """The first values and how many more there are; null, which stands for no value, is always among those named."""
    named = [value for value in values if value is not None][:VALUES_NAMED] + [None] * (None in values)
    texts = [json.dumps(value, ensure_ascii=False) for value in named]
    more = len(values) - len(named)
    return ", ".join([*texts, gettext("and %(count)s more") % {"count": more}] if more else texts)


def _range(said: dict[str, Any]) -> str:
    """The allowed range. Its numbers are in the format of JSON, as in the requests on the same page."""
    low, high = (json.dumps(said.get(name)).removesuffix(".0") for name in ("minimum", "maximum"))
    shown = {"low": low, "high": high}
    if "minimum" in said and "maximum" in said:
        return gettext("from %(low)s to %(high)s") % shown
    if "minimum" in said:
        return gettext("from %(low)s") % shown
    return gettext("to %(high)s") % shown if "maximum" in said else ""


def _limits() -> list[tuple[str, str]]:
    megabytes = settings.DATA_UPLOAD_MAX_MEMORY_SIZE / 2**20
    return [
        (gettext("Predictions of one caller in a time"), settings.SUBMIT_RATE or gettext("no limit")),
        (gettext("Rows of one caller that may wait"), str(settings.MAX_QUEUED_PER_CALLER)),
        (gettext("Rows that may wait in all"), str(settings.MAX_QUEUED)),
        (gettext("Longest wait of a request (Prefer: wait)"), with_decimal_mark(f"{settings.WAIT_MAX:g} s")),
        (gettext("Time until a prediction expires"), duration_text(settings.PREDICTION_TIME)),
        (gettext("Largest body"), f"{megabytes:.0f} MB"),
    ]
