"""The form of a version, made from its signature: a dispatch table from feature kind to form field.

A field here only turns text into a value. Whether the value may be asked is for `Signature.clean` alone to say.
"""

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Field, Fieldset, Layout
from django import forms

from predictions.models import ModelVersion
from predictions.serving.schema.errors import InvalidInput
from predictions.serving.schema.signature import (
    Boolean,
    Choice,
    Feature,
    Integer,
    Number,
    Signature,
    Text,
    Value,
)
from predictions.web.formatting import number_text

KEY = "idempotency_key"


def _number(feature: Number) -> forms.Field:
    step = feature.step if feature.step is not None else "any"
    return forms.FloatField(widget=forms.NumberInput(attrs={"step": step, "inputmode": "decimal"}))


def _integer(feature: Integer) -> forms.Field:
    return forms.IntegerField(widget=forms.NumberInput(attrs={"inputmode": "numeric"}))


def _choice(feature: Choice) -> forms.Field:
    values = {str(value): value for value in feature.values}
    offered = [("", "Choose…"), *((str(value), label) for value, label in feature.choices)]
    return forms.TypedChoiceField(choices=offered, coerce=values.__getitem__, empty_value=None)


def _boolean(feature: Boolean) -> forms.Field:
    return forms.BooleanField()


def _text(feature: Text) -> forms.Field:
    return forms.CharField(empty_value=None, strip=False)


FIELDS: Mapping[str, Callable[[Any], forms.Field]] = {
    "number": _number,
    "integer": _integer,
    "choice": _choice,
    "boolean": _boolean,
    "text": _text,
}


class _NumberedField(forms.BoundField):
    """Its id has a number: a feature may be called what an id may not, "mean radius" for one."""

    @property
    def auto_id(self) -> str:
        return f"id_{list(self.form.fields).index(self.name)}"


class PredictionForm(forms.Form):
    """Not declared by hand: the signature decides its fields, which have the names of the features."""

    bound_field_class = _NumberedField
    idempotency_key = forms.UUIDField(required=False, widget=forms.HiddenInput)

    def __init__(self, version: ModelVersion, data: Any = None, values: Mapping[str, Any] | None = None) -> None:
        self.signature = version.signature
        super().__init__(data, initial={KEY: uuid.uuid4(), **_initial(self.signature, values or {})})
        seen = version.profile.get("features", {})  # a version that was registered without its data has seen nothing
        for feature in self.signature.features:
            self.fields[name_of(feature.name)] = _field(feature, seen.get(feature.name, {}))
        self.values: dict[str, Any] = {}
        self.row: list[Value] = []  # the values in signature order, once the form is valid
        self.helper = _helper(self.signature)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        given = {name: cleaned.get(name_of(name)) for name in self.signature.names}
        self.values = {name: value for name, value in given.items() if value is not None}
        try:
            self.row = self.signature.clean(self.values)
        except InvalidInput as error:
            self._show(error)
        return cleaned

    def _show(self, error: InvalidInput) -> None:
        for problem in error.problems:
            field = name_of(problem.feature) if problem.feature else None
            if field not in self.errors:  # a text that is no number is not missing besides
                self.add_error(field, forms.ValidationError(problem.message, code=problem.code))


def name_of(feature: str) -> str:
    """The name of a feature's field: the feature's own, unless the form needs that one itself."""
    return f"feature:{feature}" if feature in (KEY, "csrfmiddlewaretoken") else feature


def _initial(signature: Signature, values: Mapping[str, Any]) -> dict[str, Any]:
    return {name_of(f.name): _written(f, values.get(f.name, f.default)) for f in signature.features}


def _written(feature: Feature, value: Any) -> Any:
    """As a person would write it: 20, not 20.0."""
    return repr(value).removesuffix(".0") if feature.kind == "number" and value is not None else value


def _field(feature: Feature, profile: Mapping[str, Any]) -> forms.Field:
    field = FIELDS[feature.kind](feature)
    field.label = feature.label
    field.help_text = feature.help
    # The signature says what is missing; here it only decides how the label is marked.
    field.required = False
    field.is_optional = not feature.required  # type: ignore[attr-defined]
    field.unit = feature.unit  # type: ignore[attr-defined]
    field.typical = typical_range(profile)  # type: ignore[attr-defined]
    return field


def typical_range(profile: Mapping[str, Any]) -> str:
    """What most of the training data lay between: the first and the last decile."""
    deciles = profile.get("deciles")
    return f"usually {number_text(deciles[1])} to {number_text(deciles[-2])}" if deciles else ""


def _helper(signature: Signature) -> FormHelper:
    groups: dict[str, list[str]] = {}
    for feature in signature.features:
        groups.setdefault(feature.group, []).append(name_of(feature.name))
    helper = FormHelper()
    helper.form_tag = False
    helper.disable_csrf = True  # the template has the one token
    helper.layout = Layout(Field(KEY), *(Fieldset(title, *names) for title, names in groups.items()))
    return helper
