"""The typed inputs of an estimator. `Signature.clean` is the one validator behind the form, the JSON
API and the file reader; the form, the JSON Schema and the advice are made from the same description.

The web process imports this module, so nothing here may import numpy or scikit-learn.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError, create_model, model_validator

from predictions.serving.schema import wording
from predictions.serving.schema.errors import InvalidInput, Problem
from predictions.serving.schema.kinds import Boolean, Choice, Date, Feature, Integer, Number, Text, Value
from predictions.serving.schema.sentences import english

__all__ = ["Boolean", "Choice", "Date", "Feature", "Integer", "Number", "Signature", "Text", "Value"]

# At most this many unknown names are reported one by one, so that a huge body does not cause a huge response.
UNKNOWN_NAMED = 20


class Signature(RootModel[tuple[Feature, ...]]):
    """The features of an estimator, in the order of its columns.

    `Signature.model_validate(list_of_dicts)` reads it and `.model_dump(mode="json")` writes it.
    """

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="after")
    def _names_differ(self) -> "Signature":
        if not self.root:
            raise ValueError("a signature needs at least one feature")
        repeated = sorted(name for name, count in Counter(self.names).items() if count > 1)
        if repeated:
            raise ValueError(f"features repeat a name: {', '.join(repeated)}")
        return self

    @property
    def features(self) -> tuple[Feature, ...]:
        return self.root

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.root)

    @cached_property
    def by_name(self) -> dict[str, Feature]:
        return {feature.name: feature for feature in self.root}

    def clean(self, raw: Mapping[str, Any] | Sequence[Any]) -> list[Value]:
        """The values in signature order, from a mapping by name or a sequence in signature order.

        Types are those of JSON and are not converted: "3" is not a number, and true is not 1. Callers that read text
        (the form, files) convert it first. Raises InvalidInput with every problem of the row at once.
        """
        given = self._by_name(raw)
        unknown = () if given.keys() <= self.by_name.keys() else given.keys() - self.by_name.keys()
        try:
            row = self._row.__pydantic_validator__.validate_python(given)
        except ValidationError as error:
            raise InvalidInput([*self._wrong(error), *unknown_features(unknown)]) from None
        if unknown:
            raise InvalidInput(unknown_features(unknown))
        return list(row.__dict__.values())

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema 2020-12 of a row as an object; `properties` are in signature order."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {feature.name: _property(feature) for feature in self.root},
            "required": [feature.name for feature in self.root if feature.required],
            "additionalProperties": False,
        }

    @cached_property
    def _row(self) -> type[BaseModel]:
        # A feature may have any name, so the fields get numbered names. The feature's name is the alias of its field.
        fields: dict[str, Any] = {}
        for position, feature in enumerate(self.root):
            rule = feature.rule() if feature.required else feature.rule() | None
            default = ... if feature.required else None
            fields[f"feature_{position}"] = (rule, Field(default, alias=feature.name))
        return create_model("Row", **fields)

    def _by_name(self, raw: Any) -> dict[str, Any]:
        if isinstance(raw, Mapping):
            return raw if isinstance(raw, dict) else dict(raw)
        if isinstance(raw, str | bytes | bytearray) or not isinstance(raw, Sequence):
            raise InvalidInput([Problem(None, "wrong_type", wording.NOT_A_ROW)])
        if len(raw) != len(self.root):
            message = wording.wrong_length(len(self.root), len(raw))
            raise InvalidInput([Problem(None, "wrong_length", message)])
        return dict(zip(self.names, raw, strict=True))

    def _wrong(self, error: ValidationError) -> list[Problem]:
        details = error.errors(include_url=False, include_context=False)
        # `loc` begins with the name of the feature. The first error of each feature is kept.
        first = {str(detail["loc"][0]): detail for detail in reversed(details)}
        return [
            Problem(name, *wording.explain(self.by_name[name], first[name]["type"], first[name]["input"]))
            for name in self.names
            if name in first
        ]


def _property(feature: Feature) -> dict[str, Any]:
    said = {
        "title": feature.label,
        "description": feature.help,
        "x-unit": feature.unit,
        "x-group": feature.group,
    }
    schema = {**{word: text for word, text in said.items() if text}, **feature.json_schema()}
    if feature.default is not None:
        # The schema has no `default`: generated clients would send it silently where their user gave no value.
        schema["examples"] = [feature.default]
    if not feature.required:
        _allow_null(schema)
    return schema


def _allow_null(schema: dict[str, Any]) -> None:
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    else:
        schema["type"] = [schema["type"], "null"]


def unknown_features(names: Iterable[object]) -> list[Problem]:
    """One problem for each of the first `UNKNOWN_NAMED` names, and one for all others."""
    ordered = sorted(wording.printable(name) for name in names)
    problems = [Problem(name, "unknown_feature", wording.UNKNOWN_FEATURE) for name in ordered[:UNKNOWN_NAMED]]
    if len(ordered) > UNKNOWN_NAMED:
        rest = len(ordered) - UNKNOWN_NAMED
        problems.append(
            Problem(None, "unknown_feature", english("And {rest} more names that are not known.", rest=rest))
        )
    return problems
