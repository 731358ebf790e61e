"""JSON Schemas of what the tools take and return."""

import re
from collections.abc import Iterable
from typing import Any

from predictions.models import ModelVersion, State
from predictions.serving.schema.errors import ERRORS
from predictions.serving.schema.signature import Signature

Json = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


# Hosts of agents refuse parameter names that are longer, or have other characters.
LONGEST = 64
NOT_ALLOWED = re.compile(r"[^a-zA-Z0-9_.-]+")


def _object(properties: Json, description: str = "") -> Json:
    """The schema of an object in which all properties are required."""
    said = {"description": description} if description else {}
    return {"type": "object", **said, "properties": properties, "required": list(properties)}


def _or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def _nullable(kind: str, description: str = "") -> Json:
    return {"type": [kind, "null"], **({"description": description} if description else {})}


GRADE = {
    "enum": ["clear", "uncertain", "outside", None],
    "description": "How sure the answer is. clear: nothing else fits. uncertain: other answers fit, or none does. "
    "outside: the values are unlike the training data, so do not rely on the answer. null: nothing is known.",
}
EVIDENCE = _or_null(
    _object(
        {"right": {"type": "integer"}, "of": {"type": "integer"}},
        "Among cases that the model had not seen, how many answers of this class and grade were right.",
    )
)
SURENESS = {"coverage": _nullable("number", "How often the set or the interval holds the true value.")}
CLASSIFICATION = _object(
    {
        "kind": {"const": "classification"},
        "label": {"type": "string"},
        "probabilities": _or_null({"type": "object", "additionalProperties": {"type": "number"}}),
        "prediction_set": {"type": ["array", "null"], "items": {"type": "string"}},
        **SURENESS,
        "grade": GRADE,
        "grade_evidence": EVIDENCE,
    }
)
REGRESSION = _object(
    {
        "kind": {"const": "regression"},
        "value": {"type": "number"},
        "unit": _nullable("string"),
        "interval": {"type": ["array", "null"], "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
        **SURENESS,
        "grade": GRADE,
        "grade_evidence": EVIDENCE,
    }
)
MULTI = _object(
    {
        "kind": {"const": "multi"},
        "outputs": {"type": "object", "additionalProperties": {"anyOf": [CLASSIFICATION, REGRESSION]}},
    },
    "One answer for each target, by its name.",
)
ADVICE = _object(
    {"feature": {"type": "string"}, "code": {"type": "string"}, "message": {"type": "string"}},
    "A value unlike those that the model learned from.",
)
ERROR = _object(
    {"code": {"enum": sorted(ERRORS)}, "message": {"type": "string"}, "retryable": {"type": "boolean"}},
    "Why there is no answer.",
)


def prediction(output: Json) -> Json:
    """The prediction as the JSON API shows it."""
    members = {
        "id": {"type": "string", "format": "uuid"},
        "model": {"type": "string"},
        "version": {"type": "integer"},
        "status": {"enum": list(State.values)},
        "features": {"type": "object"},
        "output": _or_null(output),
        "advice": {"type": "array", "items": ADVICE},
        "error": _or_null(ERROR),
        "deadline_at": {"type": "string", "format": "date-time"},
    }
    return {"$schema": DIALECT, **_object(members)}


ANY_PREDICTION = prediction({"anyOf": [CLASSIFICATION, REGRESSION, MULTI]})
PREDICTION_ID: Json = {
    "type": "object",
    "properties": {"id": {"type": "string", "format": "uuid", "description": "The id of the prediction."}},
    "required": ["id"],
    "additionalProperties": False,
}


def parameters(names: Iterable[str]) -> dict[str, str]:
    """The name of each parameter, with the name of its feature. A feature's name that hosts accept stays as it is."""
    features = list(names)
    kept = {name for name in features if _is_allowed(name)}
    found: dict[str, str] = {}
    for name in features:
        found[name if name in kept else _free(name, kept | found.keys())] = name
    return found


def _is_allowed(name: str) -> bool:
    return 0 < len(name) <= LONGEST and not NOT_ALLOWED.search(name)


def _free(name: str, taken: set[str]) -> str:
    """A name like this one that hosts accept; with a number if it is taken."""
    base = NOT_ALLOWED.sub("_", name).strip("_")[:LONGEST] or "feature"
    free, number = base, 2
    while free in taken:
        free, number = f"{base[: LONGEST - 8]}_{number}", number + 1
    return free


def arguments(signature: Signature) -> Json:
    """The signature's schema. If a parameter is not named as its feature, its title is the feature's name."""
    schema = signature.json_schema()
    renamed = {feature: name for name, feature in parameters(signature.names).items()}
    properties = {renamed[feature]: _titled(said, feature, renamed) for feature, said in schema["properties"].items()}
    return {**schema, "properties": properties, "required": [renamed[feature] for feature in schema["required"]]}


def _titled(said: Json, feature: str, renamed: dict[str, str]) -> Json:
    return said if renamed[feature] == feature else {**said, "title": feature}


def of_version(version: ModelVersion) -> Json:
    if version.views:
        return prediction(MULTI)
    return prediction(REGRESSION if version.registered_model.task == "regression" else CLASSIFICATION)
