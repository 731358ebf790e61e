"""Makes tensors of answers: `predict`, and on request `predict_proba` and tensors that say how sure each answer is.

The metadata name the first two, which clients of the protocol expect. The others are Foretell's own.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from predictions.api.inference_protocol.datatypes import DATATYPES
from predictions.api.inference_protocol.messages import InferenceRequest, RequestedOutput
from predictions.api.inference_protocol.tensors import Tensor
from predictions.models import ModelVersion, Prediction
from predictions.serving.schema.request_errors import BadRequest
from predictions.serving.schema.wording import printable

PREDICT = "predict"
PROBABILITIES = "predict_proba"


def metadata(version: ModelVersion) -> list[dict[str, Any]]:
    """`predict` has a column for each target, `predict_proba` one for each class of each target."""
    labels, targets = _labels(version), [view["target"]["name"] for view in version.views]
    predict: dict[str, Any] = {
        "name": PREDICT, "datatype": "BYTES" if labels else "FP64", "shape": [-1, len(targets) or 1]
    }  # fmt: skip
    if targets:
        predict["parameters"] = {f"target_{place}": name for place, name in enumerate(targets)}
    outputs = [predict]
    if labels:
        shape = [-1, len(labels)]
        outputs.append({"name": PROBABILITIES, "datatype": "FP64", "shape": shape, "parameters": _in_order(labels)})
    return outputs


def wanted(asked: InferenceRequest, version: ModelVersion) -> list[RequestedOutput]:
    """The outputs to give; `predict` if the client names none.

    Raises:
        BadRequest: an output is unknown, or named twice.
    """
    if not asked.outputs:
        return [RequestedOutput(PREDICT, asked.all_as_bytes)]
    known = [*(output["name"] for output in metadata(version)), *own_outputs(version)]
    names = [output.name for output in asked.outputs]
    for name in names:
        if name not in known:
            raise BadRequest(f"There is no output {printable(name)!r}; this model has {', '.join(known)}.")
    if len(set(names)) < len(names):
        raise BadRequest("An output is named twice.")
    return list(asked.outputs)


def tensor(name: str, answers: Sequence[Prediction], version: ModelVersion) -> Tensor:
    """One output for all rows, which have all succeeded.

    Raises:
        BadRequest: the version gives no probabilities.
    """
    labels = _labels(version)
    if name in OWN:
        return OWN[name](answers)
    given = [_parts(answer, version) for answer in answers]
    if name == PROBABILITIES:
        return _probabilities(given, version)
    kind, member = (DATATYPES["BYTES"], "label") if labels else (DATATYPES["FP64"], "value")
    shape = (len(given), len(version.views) or 1)
    return Tensor(PREDICT, kind, shape, [part[member] for parts in given for part in parts])


def _parts(answer: Prediction, version: ModelVersion) -> list[Any]:
    """The outputs of the targets, in their order; with one target, its output alone."""
    output: Any = answer.output
    return [output["outputs"][view["target"]["name"]] for view in version.views] or [output]


def own_outputs(version: ModelVersion) -> list[str]:
    """Foretell's own outputs of this version, each only on request."""
    left_out = {"interval" if _labels(version) else "prediction_set"}
    if version.views:  # the JSON API gives these for each target
        left_out = {"interval", "prediction_set", "grade"}
    return [name for name in OWN if name not in left_out]


def _texts(name: str, texts: Sequence[str]) -> Tensor:
    return Tensor(name, DATATYPES["BYTES"], (len(texts), 1), list(texts))


def _intervals(answers: Sequence[Prediction]) -> Tensor:
    """The bounds of each interval. Without an interval they are NaN, which is null in JSON."""
    given: list[Any] = [answer.output for answer in answers]
    bounds = [bound for output in given for bound in output["interval"] or [math.nan, math.nan]]
    return Tensor("interval", DATATYPES["FP64"], (len(given), 2), bounds)


def _sets(answers: Sequence[Prediction]) -> Tensor:
    """Each set is a text: a JSON list of labels, or null. Sets differ in length, and the rows of a tensor do not."""
    given: list[Any] = [answer.output for answer in answers]
    return _texts("prediction_set", [json.dumps(output["prediction_set"]) for output in given])


def _grades(answers: Sequence[Prediction]) -> Tensor:
    given: list[Any] = [answer.output for answer in answers]
    return _texts("grade", [output.get("grade") or "" for output in given])


def _advice(answers: Sequence[Prediction]) -> Tensor:
    """The advice on each row is a text: a JSON list of objects, as in the JSON API."""
    found = [row.version.advisor.advise(row.values) for row in answers]
    return _texts("advice", [json.dumps([asdict(one) for one in advice]) for advice in found])


OWN: dict[str, Callable[[Sequence[Prediction]], Tensor]] = {
    "id": lambda answers: _texts("id", [str(row.pk) for row in answers]),
    "interval": _intervals,
    "prediction_set": _sets,
    "grade": _grades,
    "advice": _advice,
}


def _probabilities(given: Sequence[Sequence[dict[str, Any]]], version: ModelVersion) -> Tensor:
    if any(part["probabilities"] is None for parts in given for part in parts):
        raise BadRequest(f"This version gives no probabilities; ask for {PREDICT} alone.")
    columns, labels = [view["labels"] for view in version.views] or [_labels(version)], _labels(version)
    data = [
        part["probabilities"][label]
        for parts in given
        for part, names in zip(parts, columns, strict=True)
        for label in names
    ]
    return Tensor(PROBABILITIES, DATATYPES["FP64"], (len(given), len(labels)), data, _in_order(labels))


def _labels(version: ModelVersion) -> list[str]:
    """The labels of the classes in the order of the columns; empty for a regression.

    With several targets, each label has the form `target=label`.
    """
    several = [f"{view['target']['name']}={label}" for view in version.views for label in view["labels"]]
    return several or list(version.manifest["labels"])


def _in_order(labels: Sequence[str]) -> dict[str, str]:
    """The labels as parameters. A parameter of the protocol cannot be a list, so each label has its own."""
    return {f"class_{place}": label for place, label in enumerate(labels)}
