"""version.json: what is known of a version without opening its estimator."""

from functools import cached_property
from typing import Any, Literal, TypeAlias

from pydantic import AwareDatetime, Field

from predictions.serving.artifacts.description import ClassLabel, Frozen, Target, Task
from predictions.serving.artifacts.figures import Figures
from predictions.serving.artifacts.sureness import ARRAYS, Sureness
from predictions.serving.schema.input_schema import InputSchema
from predictions.serving.schema.signature import Signature, Value

# The files of a version, by their names.
MANIFEST = "version.json"
ESTIMATOR = "estimator.joblib"
COMPILED = "estimator.onnx"
CODE = "code"

Layout: TypeAlias = Literal["table", "columns"]
FloatType: TypeAlias = Literal["float32", "float64"]


class Golden(Frozen):
    """Rows with the raw answers of the estimator; a version serves only where it reproduces them.

    An output is a class position or a number; with several targets, a list of these. `probabilities` are in estimator
    order, target after target.
    """

    rows: list[list[Value]]
    outputs: list[float] | list[list[float]]
    probabilities: list[list[float]] | None = None


class Compiled(Frozen):
    """The ONNX form of the estimator, which serves in its place, and how closely it reproduces the estimator.

    Its input is one table, or a column per feature (`layout`). Its numbers may differ from the estimator's by
    `tolerance` at most. If the two likeliest classes are no further apart than `tie_margin`, the estimator predicts.
    """

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)
    layout: Layout
    float_type: FloatType
    tolerance: float = Field(ge=0)
    largest_difference: float = Field(ge=0)
    tie_margin: float = Field(ge=0)
    rows: int = Field(ge=0)
    predict_ms: float = Field(ge=0)


class Memory(Frozen):
    """The memory that a version takes in a worker, in bytes, measured by the process that proved the version.

    `serving` is taken while the version serves. `estimator` is added when a compiled version opens its estimator.
    """

    serving: int = Field(ge=0)
    estimator: int = Field(0, ge=0)

    @property
    def most(self) -> int:
        return self.serving + self.estimator


class TargetOutput(Frozen):
    """One of several targets, with the fields that a manifest has for a single target."""

    target: Target
    classes: list[ClassLabel] = []
    labels: list[str] = []
    metrics: dict[str, float] = {}
    figures: Figures | None = None
    sureness: Sureness | None = None


class Manifest(Frozen):
    """version.json: everything that is known of one immutable version without opening its estimator.

    Without `batching` the estimator gets one row a call, since its answers depend on the other rows of the call.
    `code` maps the paths of the modules stored with the version to their SHA-256.
    `remarks` tell analysts what registration noticed.
    `source` is the SHA-256 of the files and the description of an import; None for a version made by train.py.
    `background` is a sample of training rows: explanations compare with them.
    `memory` is None in versions that were made before it was measured.
    `log_odds` are the intercept and the coefficients, if the log-odds are linear in the features.
    `targets` are two or more where one row has several answers; `classes`, `labels` and `metrics` are then empty here.
    """

    model: str
    version: int = Field(ge=1)
    created_at: AwareDatetime
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)
    task: Task
    target: Target
    targets: list[TargetOutput] = []
    classes: list[ClassLabel] = []
    labels: list[str] = []
    signature: Signature
    input_schema: InputSchema
    batching: bool = True
    code: dict[str, str] = {}
    remarks: list[str] = []
    source: str | None = None
    libraries: dict[str, str]
    metrics: dict[str, float] = {}
    rows: dict[Literal["training", "held_out"], int]
    profile: dict[str, Any] = {}
    figures: Figures | None = None
    background: list[list[Value]] = []
    log_odds: list[float] | None = None
    golden: Golden
    sureness: Sureness | None = None
    predict_ms: float = Field(ge=0)
    memory: Memory | None = None
    compiled: Compiled | None = None
    not_compiled: str | None = None

    @cached_property
    def views(self) -> list["Manifest"]:
        """The manifest of each target, as if it were the only one; empty if there is only one."""
        return [self.model_copy(update={**dict(one), "targets": [], "compiled": None}) for one in self.targets]

    @property
    def files(self) -> dict[str, str]:
        """The SHA-256 of each file beside version.json, by its path."""
        found = {ESTIMATOR: self.sha256}
        if self.compiled:
            found[COMPILED] = self.compiled.sha256
        if self.sureness and self.sureness.sha256:
            found[ARRAYS] = self.sureness.sha256
        return found | {f"{CODE}/{path}": sha256 for path, sha256 in self.code.items()}

    @cached_property
    def answered(self) -> dict[str, Any]:
        """The classes, the labels and the targets as JSON values."""
        return self.model_dump(mode="json", include={"classes", "labels", "targets"})

    @property
    def unit(self) -> str | None:
        return self.target.unit
