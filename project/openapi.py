"""Settings of drf-spectacular, which generates the OpenAPI document of the JSON API."""

from collections.abc import Mapping
from typing import Any

DOCUMENT: Mapping[str, Any] = {
    "TITLE": "Foretell",
    "DESCRIPTION": "Ask for predictions, wait for them or come back for them.",
    "LICENSE": {"name": "MIT", "url": "https://opensource.org/license/mit"},
    "SERVERS": [{"url": "http://127.0.0.1:8000"}],
    "TAGS": [
        {"name": "models", "description": "What can be asked."},
        {"name": "predictions", "description": "Ask, wait, read, cancel, rate, remove."},
        {"name": "batches", "description": "Whole files."},
    ],
    "VERSION": "1",
    # The schemas of OpenAPI 3.1 are JSON Schema 2020-12, as those of the signatures: `null` may stand among the types,
    # and a list may have a schema for each position.
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    # The layers of the API have already authenticated the caller. The schema and its page are for everybody.
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "COMPONENT_SPLIT_REQUEST": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    # Several bodies have these states. A fixed name keeps the name of the type in generated clients.
    "ENUM_NAME_OVERRIDES": {
        "PredictionBodyStatusEnum": "predictions.models.State",
        "ExplanationBodyStatusEnum": "predictions.api.explanations.STATUSES",
    },
    "PATH_CONVERTER_OVERRIDES": {"id": {"type": "string", "format": "uuid"}},
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "predictions.api.openapi_document.complete",
    ],
}
