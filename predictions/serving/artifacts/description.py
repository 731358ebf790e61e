"""model.toml as classes: a registered model as a person described it. Nothing here imports numpy."""

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator

from predictions.serving.schema.errors import InvalidInput
from predictions.serving.schema.signature import Signature, Value

Task: TypeAlias = Literal["classification", "regression", "outliers", "clusters"]
ClassLabel: TypeAlias = StrictBool | StrictInt | StrictStr | float


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Target(Frozen):
    """What is predicted. `labels` pairs each class with its display label; a class without one shows itself."""

    name: str
    unit: str | None = None
    labels: tuple[tuple[ClassLabel, str], ...] = ()

    def label(self, class_: ClassLabel) -> str:
        return dict(self.labels).get(class_, str(class_))


class Example(Frozen):
    title: str
    values: dict[str, Value]


class Description(Frozen):
    """A registered model as its model.toml and CARD.md describe it; `name` is the folder's."""

    name: str
    title: str
    summary: str
    task: Task
    target: Target
    signature: Signature = Field(alias="features")
    groups: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()
    card: str = ""

    @model_validator(mode="after")
    def _parts_agree(self) -> "Description":
        unlisted = {f.group for f in self.signature.features if f.group} - set(self.groups)
        if unlisted:
            raise ValueError(f"groups does not list {', '.join(sorted(unlisted))}")
        for example in self.examples:
            try:
                self.signature.clean(example.values)
            except InvalidInput as error:
                wrong = ", ".join(f"{p.feature}: {p.message}" for p in error.problems)
                raise ValueError(f"example {example.title!r}: {wrong}") from None
        return self
