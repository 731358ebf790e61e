"""The responses of the server as values."""

from dataclasses import dataclass, field
from typing import Any

# A label or a number; for a version with several targets, the values of the known ones by name.
Truth = str | float | dict[str, str | float]
FINISHED = frozenset({"succeeded", "failed", "canceled", "expired"})
JOB_FINISHED = frozenset({"finished", "failed", "canceled", "expired"})


@dataclass(frozen=True)
class Classification:
    """`prediction_set` holds the labels that cannot be ruled out, with the stated coverage."""

    label: str
    probabilities: dict[str, float] | None
    prediction_set: list[str] | None
    coverage: float | None
    grade: str | None = None


@dataclass(frozen=True)
class Regression:
    """`interval` contains the true value with the stated coverage."""

    value: float
    unit: str | None
    interval: tuple[float, float] | None
    coverage: float | None
    grade: str | None = None


@dataclass(frozen=True)
class Multi:
    """One answer for each of several targets, by its name."""

    outputs: dict[str, Classification | Regression]


Output = Classification | Regression | Multi


@dataclass(frozen=True)
class Advice:
    """A remark on a valid value that differs from the training data."""

    feature: str
    code: str
    message: str


@dataclass(frozen=True)
class Failure:
    code: str
    message: str
    retryable: bool


@dataclass(frozen=True)
class Feedback:
    """Your feedback on an answer."""

    was_right: bool | None
    actual: Truth | None
    comment: str


@dataclass(frozen=True)
class Prediction:
    """One prediction as the server last described it. `output` is set once `status` is "succeeded"."""

    id: str
    model: str
    version: int
    status: str
    features: dict[str, Any]
    output: Output | None
    advice: list[Advice]
    error: Failure | None
    retry_after: float | None
    page: str
    feedback: Feedback | None = None

    @property
    def is_finished(self) -> bool:
        return self.status in FINISHED


@dataclass(frozen=True)
class Corrections:
    """The corrections of a file that were sent last. `rows` and `unused` are None if they were not read.

    `unused` rows changed nothing, since no bad row has their line; `lines` are the first of these lines. `error` says
    why not all of the other rows were scored.
    """

    rows: int | None
    unused: int | None
    lines: list[int]
    error: Failure | None


@dataclass(frozen=True)
class Job:
    """A file of rows that is scored. `rows` counts the rows found so far. Of the `done` rows, `bad` rows have an error.

    `status` is "finished" even if rows are bad, since they can be corrected. `error` is set if the whole job failed.
    `corrections` is None while none were sent or read. `absent` are the optional features for which the file has no
    column: the model takes them as missing in each row.
    """

    id: str
    model: str
    version: int
    status: str
    rows: int
    done: int
    good: int
    bad: int
    seconds_left: float | None
    error: Failure | None
    page: str
    corrections: Corrections | None = None
    absent: list[str] = field(default_factory=list)

    @property
    def is_finished(self) -> bool:
        return self.status in JOB_FINISHED


@dataclass(frozen=True)
class Model:
    """`version` is the number of the version that serves, or None."""

    name: str
    title: str
    task: str
    version: int | None


@dataclass(frozen=True)
class ModelDetail(Model):
    """`signature` is a JSON Schema whose properties stand in the order of the features."""

    summary: str
    signature: dict[str, Any] | None
    example: dict[str, Any] | None
    metrics: dict[str, float]
    versions: list[dict[str, Any]]


# --- From JSON ------------------------------------------------------------------------------------------------------
def prediction(body: dict[str, Any]) -> Prediction:
    return Prediction(
        id=body["id"],
        model=body["model"],
        version=body["version"],
        status=body["status"],
        features=body["features"],
        output=_output(body["output"]),
        advice=[Advice(entry["feature"], entry["code"], entry["message"]) for entry in body["advice"]],
        error=_failure(body["error"]),
        retry_after=body["retry_after"],
        page=body["urls"]["page"],
        feedback=feedback(body["feedback"]) if body.get("feedback") else None,
    )


def _output(output: dict[str, Any] | None) -> Output | None:
    if output is None:
        return None
    if output["kind"] == "multi":
        return Multi({name: _one(part) for name, part in output["outputs"].items()})
    return _one(output)


def _one(output: dict[str, Any]) -> Classification | Regression:
    if output["kind"] == "classification":
        return Classification(
            output["label"], output["probabilities"], output["prediction_set"], output["coverage"], output.get("grade")
        )
    interval = (output["interval"][0], output["interval"][1]) if output["interval"] else None
    return Regression(output["value"], output["unit"], interval, output["coverage"], output.get("grade"))


def _failure(error: dict[str, Any] | None) -> Failure | None:
    return None if error is None else Failure(error["code"], error["message"], error["retryable"])


def job(body: dict[str, Any]) -> Job:
    error, corrections = body["error"], body.get("corrections")
    return Job(
        id=body["id"],
        model=body["model"],
        version=body["version"],
        status=body["status"],
        rows=body["rows"],
        done=body["done"],
        good=body["good"],
        bad=body["bad"],
        seconds_left=body["seconds_left"],
        error=error and Failure(error["code"], error["message"], False),
        page=body["urls"]["page"],
        corrections=corrections and _corrections(corrections),
        absent=body.get("layout", {}).get("absent", []),  # an earlier server does not name them
    )


def _corrections(body: dict[str, Any]) -> Corrections:
    error = body["error"]
    failure = error and Failure(error["code"], error["message"], False)
    return Corrections(body["rows"], body["unused"], body["lines"], failure)


def feedback(body: dict[str, Any]) -> Feedback:
    return Feedback(body["was_right"], body["actual"], body["comment"])


def model(body: dict[str, Any]) -> Model:
    return Model(body["name"], body["title"], body["task"], body["version"])


def model_detail(body: dict[str, Any]) -> ModelDetail:
    return ModelDetail(
        body["name"],
        body["title"],
        body["task"],
        body["version"],
        body["summary"],
        body["signature"],
        body["example"],
        body["metrics"],
        body["versions"],
    )
