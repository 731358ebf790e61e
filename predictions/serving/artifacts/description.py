"""model.toml as classes: a registered model as a person described it. Nothing here imports numpy."""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator

from predictions.serving.schema.errors import InvalidInput
from predictions.serving.schema.signature import Signature, Value

Task: TypeAlias = Literal["classification", "regression", "outliers", "clusters"]
ClassLabel: TypeAlias = StrictBool | StrictInt | StrictStr | float


def together(names: Sequence[str]) -> str:
    """Joins names to one text: "height, width and depth"."""
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part) if names else ""


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Target(Frozen):
    """A quantity that is predicted. `labels` pairs classes with display labels; a class without a label shows itself.

    `minimum` and `maximum` bound the possible values of a number; intervals are clipped to them. `cases` is the plural
    noun for the rows of the data: people, flowers.
    """

    name: str
    cases: str = "cases"
    unit: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    labels: tuple[tuple[ClassLabel, str], ...] = ()

    def label(self, class_: ClassLabel) -> str:
        return dict(self.labels).get(class_, str(class_))

    @model_validator(mode="after")
    def _bounds_hold(self) -> "Target":
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum} is above maximum {self.maximum}")
        return self


class Example(Frozen):
    title: str
    values: dict[str, Value]


class MatrixRow(Frozen):
    """One row of a matrix; `features` has the name of a feature, or an empty text, for each column."""

    title: str
    help: str = ""
    features: tuple[str, ...]


class Matrix(Frozen):
    """Features that form a table, for the form: each row is one thing, each column one way to measure it."""

    columns: tuple[str, ...] = Field(min_length=1)
    rows: tuple[MatrixRow, ...] = Field(min_length=1)

    @property
    def names(self) -> list[str]:
        return [name for row in self.rows for name in row.features if name]

    @model_validator(mode="after")
    def _is_a_table(self) -> "Matrix":
        if any(len(row.features) != len(self.columns) for row in self.rows):
            raise ValueError("each row of matrix needs one feature for each column; an empty text leaves a place empty")
        if len(set(self.names)) < len(self.names):
            raise ValueError("matrix names a feature twice")
        return self


class Description(Frozen):
    """A registered model as its model.toml and CARD.md describe it; `name` is the folder's.

    `targets` are two or more where one row has several answers, all numbers or all classes. `target` then names them
    together.
    """

    name: str
    title: str
    summary: str
    task: Task
    target: Target
    targets: tuple[Target, ...] = ()
    signature: Signature = Field(alias="features")
    groups: tuple[str, ...] = ()
    matrix: Matrix | None = None
    examples: tuple[Example, ...] = ()
    card: str = ""

    @model_validator(mode="before")
    @classmethod
    def _named_together(cls, said: Any) -> Any:
        targets = said.get("targets") if isinstance(said, dict) else None
        if not isinstance(targets, list) or "target" in said:
            return said
        names = [target.get("name", "") for target in targets if isinstance(target, dict)]
        return {**said, "target": {"name": together(names)}}

    @model_validator(mode="after")
    def _targets_are_several(self) -> "Description":
        names = [target.name for target in self.targets]
        if len(names) == 1:
            raise ValueError("targets is for two or more: write one as [target]")
        if len(set(names)) < len(names):
            raise ValueError("targets has one name twice")
        if names and self.task not in ("classification", "regression"):
            raise ValueError(f"task {self.task} has one target")
        return self

    @model_validator(mode="after")
    def _parts_agree(self) -> "Description":
        unlisted = {f.group for f in self.signature.features if f.group} - set(self.groups)
        if unlisted:
            raise ValueError(f"groups does not list {', '.join(sorted(unlisted))}")
        if self.matrix and (strange := set(self.matrix.names) - set(self.signature.names)):
            raise ValueError(f"matrix names {', '.join(sorted(strange))}, which features does not describe")
        for example in self.examples:
            try:
                self.signature.clean(example.values)
            except InvalidInput as error:
                wrong = ", ".join(f"{p.feature}: {p.message}" for p in error.problems)
                raise ValueError(f"example {example.title!r}: {wrong}") from None
        return self
