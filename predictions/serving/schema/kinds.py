"""The kinds of features: the properties, the pydantic rule and the JSON Schema of each kind."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

Value: TypeAlias = float | int | str | bool | None

# The whole numbers that JSON (RFC 8259, section 6) and an estimator's float64 both keep exactly.
LARGEST_INTEGER = 2**53 - 1

# Databases and JSON libraries keep whole numbers of 64 bits.
Int64: TypeAlias = Annotated[StrictInt, Field(ge=-(2**63), le=2**63 - 1)]
ChoiceValue: TypeAlias = Int64 | StrictStr | StrictFloat


class _Described(BaseModel):
    """The properties that all kinds of features have. `label` defaults to the name.

    With `required = false` the feature may be left out or null, and its value is then None. `immutable` and
    `direction` only limit the changes that a what-if analysis tries: none at all, or larger ("up") or smaller ("down")
    values only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(min_length=1, max_length=200)
    label: str = ""
    unit: str = ""
    help: str = ""
    group: str = ""
    required: bool = True
    immutable: bool = False
    direction: Literal["up", "down"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _label_from_name(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and not data.get("label"):
            return {**data, "label": data.get("name", "")}
        return data


class _Bounded(_Described):
    @model_validator(mode="after")
    def _bounds_hold(self) -> "_Bounded":
        low, high = getattr(self, "minimum", None), getattr(self, "maximum", None)
        if low is not None and high is not None and low > high:
            raise ValueError(f"minimum {low} is above maximum {high}")
        default = getattr(self, "default", None)
        if default is not None and not ((low is None or low <= default) and (high is None or default <= high)):
            raise ValueError(f"default {default} is outside minimum and maximum")
        return self


class Number(_Bounded):
    """A finite float64. `minimum` and `maximum` are included; `step` only helps the form."""

    kind: Literal["number"] = "number"
    default: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = Field(default=None, gt=0)

    def rule(self) -> Any:
        limits = Field(strict=True, allow_inf_nan=False, ge=self.minimum, le=self.maximum)
        return Annotated[float, limits]

    def json_schema(self) -> dict[str, Any]:
        return {"type": "number", **_limits(self.minimum, self.maximum)}


class Integer(_Bounded):
    """A whole number. 3.0 counts as 3, because JSON does not tell the two apart."""

    kind: Literal["integer"] = "integer"
    default: int | None = None
    minimum: Int64 | None = None
    maximum: Int64 | None = None
    step: int | None = Field(default=None, gt=0)

    def rule(self) -> Any:
        low = -LARGEST_INTEGER if self.minimum is None else self.minimum
        high = LARGEST_INTEGER if self.maximum is None else self.maximum
        return Annotated[int, Field(strict=True, ge=low, le=high), BeforeValidator(_whole)]

    def json_schema(self) -> dict[str, Any]:
        return {"type": "integer", **_limits(self.minimum, self.maximum)}


class Choice(_Described):
    """One of `choices`, given as (value, label) pairs; a value is a text (the empty one too) or a number."""

    kind: Literal["choice"] = "choice"
    choices: tuple[tuple[ChoiceValue, str], ...] = Field(min_length=1)
    default: ChoiceValue | None = None

    @property
    def values(self) -> list[int | str | float]:
        return [value for value, _ in self.choices]

    @model_validator(mode="after")
    def _choices_hold(self) -> "Choice":
        if len(set(self.values)) < len(self.choices):
            raise ValueError("choices repeats a value")
        # Forms, files and tensors carry a choice as its text.
        if len({str(value) for value in self.values}) < len(self.choices):
            raise ValueError("two choices are written alike, as a number and as a text: keep one of them")
        if self.default is not None and self.default not in self.values:
            raise ValueError(f"default {self.default!r} is not one of the choices")
        return self

    def rule(self) -> Any:
        known = {value: value for value in self.values}

        def pick(value: object) -> int | str | float:
            # True == 1 in Python, but true is not choice 1.
            if isinstance(value, str | int | float) and not isinstance(value, bool) and value in known:
                return known[value]  # 1.0 finds 1, as for whole numbers
            raise PydanticCustomError("unknown_choice", "not one of the choices")

        return Annotated[Any, PlainValidator(pick)]

    def json_schema(self) -> dict[str, Any]:
        return {"enum": self.values, "x-enum-labels": [label for _, label in self.choices]}


class Boolean(_Described):
    kind: Literal["boolean"] = "boolean"
    default: bool | None = None

    def rule(self) -> Any:
        return StrictBool

    def json_schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


class Text(_Described):
    """A text of at most `max_length` characters, without NUL (which PostgreSQL cannot store).

    `multiline` only helps the form: a text area, or a field of one line.
    """

    kind: Literal["text"] = "text"
    default: str | None = None
    max_length: int = Field(default=1000, gt=0)
    multiline: bool = True

    def rule(self) -> Any:
        least = 1 if self.required else 0
        limits = Field(strict=True, min_length=least, max_length=self.max_length)
        return Annotated[str, limits, BeforeValidator(_without_nul)]

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": int(self.required), "maxLength": self.max_length}


class Date(_Bounded):
    """A day, as ISO 8601 text: 2024-05-31. `minimum` and `maximum` are included. model.toml may write TOML dates."""

    kind: Literal["date"] = "date"
    default: str | None = None
    minimum: str | None = None
    maximum: str | None = None

    @field_validator("default", "minimum", "maximum", mode="before")
    @classmethod
    def _iso(cls, value: Any) -> Any:
        text = value.isoformat() if isinstance(value, date) else value
        if text is not None and not _is_iso_date(text):
            raise ValueError(f"{text!r} is no date: write 2024-05-31")
        return text

    def rule(self) -> Any:
        return Annotated[str, Field(strict=True), AfterValidator(self._checked)]

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "date"}

    def _checked(self, value: str) -> str:
        if not _is_iso_date(value):
            raise PydanticCustomError("not_a_date", "not a date")
        # As texts, ISO dates sort in the order of the days.
        if self.minimum is not None and value < self.minimum:
            raise PydanticCustomError("greater_than_equal", "too early")
        if self.maximum is not None and value > self.maximum:
            raise PydanticCustomError("less_than_equal", "too late")
        return value


Feature: TypeAlias = Annotated[Number | Integer | Choice | Boolean | Text | Date, Field(discriminator="kind")]


def _is_iso_date(value: object) -> bool:
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _without_nul(value: object) -> object:
    if isinstance(value, str) and "\0" in value:
        raise PydanticCustomError("string_unicode", "contains NUL")
    return value


def _limits(minimum: float | None, maximum: float | None) -> dict[str, Any]:
    limits = {"minimum": minimum, "maximum": maximum}
    return {word: limit for word, limit in limits.items() if limit is not None}
