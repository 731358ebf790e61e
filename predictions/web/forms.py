"""The form of a version, made from its signature: a dispatch table from feature kind to form field.

A field here only turns text into a value. `Signature.clean` alone decides whether a value is allowed. No field starts
with a value: an untouched form must not give an answer. The typical value of a feature is its placeholder.
"""

import uuid
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import TEMPLATE_PACK, Field, Fieldset, Layout, LayoutObject
from crispy_forms.utils import render_field
from django import forms
from django.template.loader import render_to_string
from django.utils.html import escape
from django.utils.translation import gettext, ngettext

from predictions.models import ModelVersion
from predictions.serving.schema.errors import InvalidInput
from predictions.serving.schema.signature import Boolean, Choice, Feature, Signature, Text, Value
from predictions.web import charts
from predictions.web.formatting import decimal_mark, number_text
from predictions.web.localized import localized
from predictions.web.number_input import Unreadable, read_number
from predictions.web.values import choice_keys, visible_label

KEY = "idempotency_key"
# A text that may be longer than this gets an area of several lines.
ONE_LINE = 100
BOOLEANS = {"true": True, "false": False}


class NumberField(forms.CharField):
    """Text that stands for a number. `whole` fields give an int where the number is whole."""

    def __init__(self, unit: str, *, whole: bool, has_minus: bool) -> None:
        # The decimal keypad of a phone has no minus.
        attrs = {"inputmode": "text" if has_minus else "decimal", "data-number": "", "data-unit": unit}
        super().__init__(widget=forms.TextInput(attrs=attrs))
        self._unit, self._whole = unit, whole

    def to_python(self, value: Any) -> Any:
        if not (text := super().to_python(value)):
            return None
        try:
            number = read_number(text, self._unit)
        except Unreadable as error:
            raise forms.ValidationError(str(error), code=error.code) from None
        return int(number) if self._whole and number == number.to_integral_value() else float(number)


class PlainTextField(forms.CharField):
    """Text as it was typed; lines end with a line feed, as in the training data, not with HTML's CR LF."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        return text and text.replace("\r\n", "\n")


def _number(feature: Any, seen: Mapping[str, Any]) -> forms.Field:
    lowest = next((low for low in (feature.minimum, seen.get("minimum")) if low is not None), -1)
    return NumberField(feature.unit, whole=feature.kind == "integer", has_minus=lowest < 0)


def _choice(feature: Choice, _seen: Mapping[str, Any]) -> forms.Field:
    keys = choice_keys(feature)
    values = {key: value for value, key in keys.items()}
    offered = [("", gettext("Choose…")), *((keys[value], visible_label(label)) for value, label in feature.choices)]
    attrs = {} if any(isinstance(value, str) for value in feature.values) else {"data-json": ""}
    widget = forms.Select(attrs=attrs)
    return forms.TypedChoiceField(choices=offered, coerce=values.__getitem__, empty_value=None, widget=widget)


def _boolean(feature: Boolean, _seen: Mapping[str, Any]) -> forms.Field:
    unknown = gettext("Choose…") if feature.required else gettext("Not known")
    offered = [("", unknown), ("true", gettext("Yes")), ("false", gettext("No"))]
    widget = forms.Select(attrs={"data-json": ""})
    return forms.TypedChoiceField(choices=offered, coerce=BOOLEANS.__getitem__, empty_value=None, widget=widget)


def _text(feature: Text, _seen: Mapping[str, Any]) -> forms.Field:
    widget = forms.Textarea(attrs={"rows": 4}) if feature.max_length > ONE_LINE else forms.TextInput()
    return PlainTextField(empty_value=None, strip=False, widget=widget)


def _date(_feature: Any, _seen: Mapping[str, Any]) -> forms.Field:
    """A browser sends the date as ISO 8601. A browser without date fields shows a text field with this placeholder."""
    return forms.CharField(
        empty_value=None, widget=forms.TextInput(attrs={"type": "date", "placeholder": gettext("YYYY-MM-DD")})
    )


FIELDS: Mapping[str, Callable[[Any, Mapping[str, Any]], forms.Field]] = {
    "number": _number,
    "integer": _number,
    "choice": _choice,
    "boolean": _boolean,
    "text": _text,
    "date": _date,
}


class _NumberedField(forms.BoundField):
    """A field with a number in its HTML id: the name of a feature, for example "mean radius", may be no valid id."""

    form: "PredictionForm"

    @property
    def auto_id(self) -> str:
        return f"id_{self.form.numbers[self.name]}"


class PredictionForm(forms.Form):
    """The form of a version. The signature decides its fields, which have the names of the features."""

    bound_field_class = _NumberedField
    idempotency_key = forms.UUIDField(required=False, widget=forms.HiddenInput)

    def __init__(
        self,
        version: ModelVersion,
        data: Any = None,
        values: Mapping[str, Any] | None = None,
        matrix: Mapping[str, Any] | None = None,
    ) -> None:
        self.signature = version.signature
        super().__init__(data, initial={KEY: uuid.uuid4(), **written(self.signature, values or {}, decimal_mark())})
        self.decimal_mark = decimal_mark()
        seen = version.profile.get("features", {})  # empty for a version that was registered without its training data
        for feature in self.signature.features:
            self.fields[name_of(feature.name)] = _field(feature, seen.get(feature.name, {}))
        self._note_order()
        self.values: dict[str, Any] = {}
        self.row: list[Value] = []  # the values in signature order, once the form is valid
        self.helper = _helper(self.signature, matrix)

    @property
    def filled(self) -> int:
        """The number of features whose field is not empty."""
        return sum(1 for name in self.signature.names if self[name_of(name)].value() not in (None, ""))

    @property
    def error_title(self) -> str:
        count = sum(len(errors) for errors in self.errors.values())
        return ngettext("%(count)s error: ", "%(count)s errors: ", count) % {"count": count} if count else ""

    @cached_property
    def numbers(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.fields)}

    def _note_order(self) -> None:
        """Mark each field with its position in the signature, because a pasted row fills the fields in that order."""
        for place, name in enumerate(self.signature.names):
            self.fields[name_of(name)].widget.attrs["data-order"] = place

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
            if field not in self.errors:  # a text that is not a number is not reported as missing too
                self.add_error(field, forms.ValidationError(localized(problem.message), code=problem.code))


def name_of(feature: str) -> str:
    """The name of a feature's field: the name of the feature, with a prefix if the form itself has such a field."""
    return f"feature:{feature}" if feature in (KEY, "csrfmiddlewaretoken") else feature


def written(signature: Signature, values: Mapping[str, Any], decimal: str = ".") -> dict[str, str]:
    """Values of features as the texts that the form's fields hold, by the fields' names."""
    return {name_of(f.name): _written(f, values.get(f.name), decimal) for f in signature.features}


def _written(feature: Feature, value: Any, decimal: str) -> str:
    """As a person would write it: 20, not 20.0."""
    if value is None:
        return ""
    if isinstance(feature, Choice):
        return choice_keys(feature).get(value, str(value))
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value).removesuffix(".0").replace(".", decimal) if isinstance(value, float) else str(value)


def _field(feature: Feature, seen: Mapping[str, Any]) -> forms.Field:
    field = FIELDS[feature.kind](feature, seen)
    field.label = feature.label
    field.help_text = escape(feature.help)  # templates do not escape it, since Django's own help texts hold HTML
    # The signature reports missing values. The form only marks the labels of optional features.
    field.required = False
    field.is_optional = not feature.required  # type: ignore[attr-defined]
    field.unit = feature.unit  # type: ignore[attr-defined]
    field.typical = typical_range(seen)  # type: ignore[attr-defined]
    field.usual = strip_of(seen)  # type: ignore[attr-defined]
    if feature.kind in ("number", "integer") and feature.default is not None:
        field.widget.attrs["placeholder"] = _example(float(feature.default))
    return field


def _example(number: float) -> str:
    return gettext("e.g. %(number)s") % {"number": number_text(number)}


def typical_range(profile: Mapping[str, Any]) -> str:
    """The range of most training rows: from the first to the last decile."""
    deciles = profile.get("deciles")
    if not deciles:
        return ""
    return gettext("usually %(low)s to %(high)s") % {"low": number_text(deciles[1]), "high": number_text(deciles[-2])}


def strip_of(profile: Mapping[str, Any]) -> charts.Strip | None:
    deciles = profile.get("deciles")
    return charts.strip(deciles[0], deciles[1], deciles[-2], deciles[-1]) if deciles else None


def _helper(signature: Signature, matrix: Mapping[str, Any] | None) -> FormHelper:
    in_matrix = {name for row in matrix["rows"] for name in row["features"]} if matrix else set()
    groups: dict[str, list[str]] = {}
    for feature in signature.features:
        if feature.name not in in_matrix:
            groups.setdefault(feature.group, []).append(name_of(feature.name))
    helper = FormHelper()
    helper.form_tag = False
    helper.disable_csrf = True  # the template renders the CSRF token
    table = [MatrixLayout(matrix, signature)] if matrix else []
    helper.layout = Layout(Field(KEY), *table, *(Fieldset(title, *names) for title, names in groups.items()))
    return helper


class MatrixLayout(LayoutObject):  # type: ignore[misc]
    """Fields as a table: each row is one thing with its help, each column one way to measure it."""

    template = "foretell/layout/matrix.html"

    def __init__(self, matrix: Mapping[str, Any], signature: Signature) -> None:
        self.fields: list[str] = []
        self._columns = matrix["columns"]
        self._rows = [
            {**row, "features": [name if name in signature.names else "" for name in row["features"]]}
            for row in matrix["rows"]
        ]

    def render(self, form: PredictionForm, context: Any, template_pack: str = TEMPLATE_PACK, **kwargs: Any) -> str:
        rows = [
            {
                "title": row["title"],
                "help": row["help"],
                "cells": [
                    render_field(name_of(name), form, context, template_pack=template_pack, **kwargs) if name else ""
                    for name in row["features"]
                ],
            }
            for row in self._rows
        ]
        html: str = render_to_string(self.template, {"columns": self._columns, "rows": rows})
        return html
