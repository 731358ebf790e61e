"""Reads the folders of registered models: files say what exists.

    <root>/<name>/model.toml, CARD.md, train.py            written by hand
    <root>/<name>/versions/<n>/estimator.joblib            written once by `publication`,
    <root>/<name>/versions/<n>/estimator.onnx              the compiled ones,
    <root>/<name>/versions/<n>/sureness.npz                arrays that say how sure an answer is, then
    <root>/<name>/versions/<n>/version.json                immutable

Nothing here opens an estimator, so the web process may import it.
"""

import logging
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)

from predictions.serving.artifacts.sureness import Sureness
from predictions.serving.schema.errors import InvalidInput
from predictions.serving.schema.signature import Signature, Value

logger = logging.getLogger(__name__)

DESCRIPTION = "model.toml"
CARD = "CARD.md"
VERSIONS = "versions"
MANIFEST = "version.json"
ESTIMATOR = "estimator.joblib"
COMPILED = "estimator.onnx"

Task: TypeAlias = Literal["classification", "regression"]
Layout: TypeAlias = Literal["table", "columns"]
Number: TypeAlias = Literal["float32", "float64"]
ClassLabel: TypeAlias = StrictBool | StrictInt | StrictStr | float

# Names come from URLs too: what does not match is no model, whatever the file system would make of it.
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class NoSuchModel(LookupError):
    """No folder with a model.toml has this name."""


class NoSuchVersion(LookupError):
    """The model has no version of this number."""


class BrokenFile(ValueError):
    """A file of a registered model does not say what it must; the text names the file and the places."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        super().__init__(f"{path}: {'; '.join(problems)}")
        self.path = path
        self.problems = problems


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Target(_Frozen):
    """What is predicted. `labels` pairs each class with its display label; a class without one shows itself.

    `minimum` and `maximum` are what a number can be at all; intervals are clipped to them.
    """

    name: str
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


class Example(_Frozen):
    title: str
    values: dict[str, Value]


class Description(_Frozen):
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


class Golden(_Frozen):
    """Rows with the raw answers of the estimator; a version serves only where it reproduces them.

    An output is a class position or a number, and `probabilities` are in estimator order.
    """

    rows: list[list[Value]]
    outputs: list[float]
    probabilities: list[list[float]] | None = None


class Compiled(_Frozen):
    """The estimator as ONNX, which serves in its place, and how closely it was seen to reproduce it.

    It takes one table, or a column per feature; numbers differ by `tolerance` at most. Where the two likeliest classes
    are no further apart than `doubt`, the estimator itself is asked.
    """

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)
    layout: Layout
    number: Number
    tolerance: float = Field(ge=0)
    largest_difference: float = Field(ge=0)
    doubt: float = Field(ge=0)
    rows: int = Field(ge=0)
    predict_ms: float = Field(ge=0)


class Manifest(_Frozen):
    """version.json: everything that is known of one immutable version without opening its estimator."""

    model: str
    version: int = Field(ge=1)
    created_at: AwareDatetime
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)
    task: Task
    target: Target
    classes: list[ClassLabel] = []
    labels: list[str] = []
    signature: Signature
    input: Literal["array", "frame"] = "array"
    libraries: dict[str, str]
    metrics: dict[str, float] = {}
    rows: dict[Literal["training", "held_out"], int]
    profile: dict[str, Any] = {}
    golden: Golden
    sureness: Sureness | None = None
    predict_ms: float = Field(ge=0)
    compiled: Compiled | None = None
    not_compiled: str | None = None

    @property
    def unit(self) -> str | None:
        return self.target.unit


def is_name(name: str) -> bool:
    """Whether a registered model may be called so; everything else never reaches the file system."""
    return _NAME.fullmatch(name) is not None


def describe(root: Path, name: str) -> Description:
    """The description of one model. Raises NoSuchModel, or BrokenFile naming each place."""
    home = folder(root, name)
    path = home / DESCRIPTION
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BrokenFile(path, [str(error)]) from error
    card = home / CARD
    try:
        text = card.read_text(encoding="utf-8") if card.is_file() else ""
    except UnicodeDecodeError as error:
        raise BrokenFile(card, [str(error)]) from error
    try:
        return Description.model_validate({**said, "name": name, "card": text})
    except ValidationError as error:
        raise BrokenFile(path, _places(error)) from error


def descriptions(root: Path, on_broken: Callable[[BrokenFile], None] | None = None) -> list[Description]:
    """All models that can be read, by name. One broken folder does not take the others down:
    it is handed to `on_broken`, or logged as an error where nobody asks for it."""
    report = on_broken or _log
    found = []
    for folder in _folders(root):
        if not is_name(folder.name):
            report(BrokenFile(folder, ["rename the folder: a-z, 0-9, - and _ only, at most 64"]))
            continue
        try:
            found.append(describe(root, folder.name))
        except BrokenFile as error:
            report(error)
    return found


def manifest(root: Path, name: str, number: int) -> Manifest:
    """One version's manifest. Raises NoSuchModel, NoSuchVersion or BrokenFile."""
    path = folder(root, name) / VERSIONS / str(int(number)) / MANIFEST
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise NoSuchVersion(f"{name} has no version {number}") from None
    try:
        found = Manifest.model_validate_json(text)
    except ValidationError as error:
        raise BrokenFile(path, _places(error)) from error
    if (found.model, found.version) != (name, number):
        raise BrokenFile(path, [f"says it is version {found.version} of {found.model}"])
    return found


def manifests(root: Path, name: str, on_broken: Callable[[BrokenFile], None] | None = None) -> list[Manifest]:
    """All versions of a model that can be read, oldest first; broken ones go to `on_broken` or the log."""
    report = on_broken or _log
    found = []
    for number in numbers(folder(root, name) / VERSIONS):
        try:
            found.append(manifest(root, name, number))
        except NoSuchVersion:
            report(BrokenFile(root / name / VERSIONS / str(number), [f"holds no {MANIFEST}"]))
        except BrokenFile as error:
            report(error)
    return found


def artefact(root: Path, name: str, number: int, file: str = ESTIMATOR) -> Path:
    """Where the estimator of a version lies, or another of its files, whether it is there or not."""
    return folder(root, name) / VERSIONS / str(int(number)) / file


def folder(root: Path, name: str) -> Path:
    """Where a model lies. Raises NoSuchModel."""
    if not is_name(name) or not (root / name / DESCRIPTION).is_file():
        raise NoSuchModel(f"no model is called {name!r}")
    return root / name


def _folders(root: Path) -> Iterator[Path]:
    if root.is_dir():
        yield from sorted(path.parent for path in root.glob(f"[!._]*/{DESCRIPTION}"))


def numbers(versions: Path) -> list[int]:
    """The numbers of the versions that lie there, lowest first."""
    if not versions.is_dir():
        return []
    return sorted(int(path.name) for path in versions.iterdir() if re.fullmatch(r"[1-9][0-9]{0,8}", path.name))


def _places(error: ValidationError) -> list[str]:
    return [
        f"{'.'.join(str(step) for step in detail['loc']) or 'as a whole'}: {detail['msg']}"
        for detail in error.errors(include_url=False, include_input=False, include_context=False)
    ]


def _log(error: BrokenFile) -> None:
    logger.error("Skipped a registered model's file that cannot be read: %s", error)
