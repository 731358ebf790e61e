"""A model's form as an MCP App (extension io.modelcontextprotocol/ui, 2026-01-26), for hosts that can show one.

The app is one HTML document. The host shows it in a sandbox without network. To predict, the form calls the model's
tool through the host, with the permissions of the agent's connection.
"""

import json
from collections.abc import Iterator
from typing import Any

from django.template.loader import render_to_string

from predictions.api.mcp.schemas import parameters
from predictions.models import ModelVersion
from predictions.serving.schema.signature import Choice, Feature

MEDIA_TYPE = "text/html;profile=mcp-app"
URI = "ui://foretell/{}"
# The document loads nothing, so no origins are named.
META: dict[str, Any] = {"ui": {"prefersBorder": True}}


def tool_meta(version: ModelVersion) -> dict[str, Any]:
    return {"ui": {"resourceUri": URI.format(version.registered_model.name)}}


def html(version: ModelVersion, tool: str) -> str:
    context = {"model": version.registered_model, "tool": tool, "fields": list(_fields(version))}
    return render_to_string("mcp/app.html", context)


def _fields(version: ModelVersion) -> Iterator[dict[str, Any]]:
    signature = version.signature
    for name, feature in zip(parameters(signature.names), signature.features, strict=True):
        yield {
            "name": name,
            "label": feature.label or feature.name,
            "unit": feature.unit,
            "help": feature.help,
            "kind": feature.kind,
            "required": feature.required,
            "example": "" if feature.default is None else str(feature.default).removesuffix(".0"),
            "options": list(_options(feature)),
        }


def _options(feature: Feature) -> Iterator[tuple[str, str]]:
    """Each option: its value as JSON, and its label. A field in which people write has none."""
    if isinstance(feature, Choice):
        yield from ((json.dumps(value), label) for value, label in feature.choices)
    elif feature.kind == "boolean":
        yield from (("true", "Yes"), ("false", "No"))
