"""Makes rows of a signature from tensors: one tensor of [rows, features], or one tensor for each feature."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from predictions.api.inference_protocol.messages import InferenceRequest
from predictions.api.inference_protocol.tensors import Tensor
from predictions.api.prediction_body import MOST_ROWS
from predictions.serving.schema.errors import InvalidInput
from predictions.serving.schema.request_errors import BadRequest
from predictions.serving.schema.signature import Boolean, Choice, Feature, Integer, Number, Signature, Value
from predictions.serving.schema.wording import printable

# The most problems that one message names.
MOST_NAMED = 10
# The name of a single tensor in the metadata. In a request it may have any name.
ONE_TENSOR = "input"


def metadata(signature: Signature) -> list[dict[str, Any]]:
    """One tensor with the names of the features in order, if all are numbers; else one tensor for each feature."""
    if all(_datatype(feature) != "BYTES" and not isinstance(feature, Boolean) for feature in signature.features):
        names = {f"feature_{place}": name for place, name in enumerate(signature.names)}
        shape = [-1, len(signature.names)]
        return [{"name": ONE_TENSOR, "datatype": "FP64", "shape": shape, "parameters": names}]
    return [{"name": feature.name, "datatype": _datatype(feature), "shape": [-1, 1]} for feature in signature.features]


def rows(asked: InferenceRequest, signature: Signature) -> list[list[Value]]:
    """The rows that the tensors of a request make, cleaned.

    Raises:
        BadRequest: the tensors make no rows, or values do not fit the signature; the message names tensor and row.
    """
    if _is_one_tensor(asked, signature):
        tensor = asked.inputs[0]
        given = list(_rows_of_one(tensor, signature))
        return _cleaned(given, signature, lambda name: f"Tensor {printable(tensor.name)!r}, feature {name!r}")
    return _cleaned(list(_rows_of_columns(asked.inputs, signature)), signature, lambda name: f"Tensor {name!r}")


def _is_one_tensor(asked: InferenceRequest, signature: Signature) -> bool:
    """Whether one tensor has all features. If a single tensor has the name of a feature, its shape decides."""
    if asked.content_type == "pd" or len(asked.inputs) > 1:
        return False
    tensor = asked.inputs[0]
    return tensor.name not in signature.by_name or tensor.shape[1:] == (len(signature.names),)


def _rows_of_one(tensor: Tensor, signature: Signature) -> Iterator[dict[str, Value]]:
    width = len(signature.names)
    if len(tensor.shape) != 2 or tensor.shape[1] != width:
        raise BadRequest(
            f"Tensor {printable(tensor.name)!r}: shape {list(tensor.shape)} must be [rows, {width}], a column for each"
            " feature in signature order; or send one tensor for each feature, named as the feature."
        )
    for start in range(0, _counted(tensor.shape[0]) * width, width):
        yield dict(zip(signature.names, tensor.data[start : start + width], strict=True))


def _rows_of_columns(columns: Sequence[Tensor], signature: Signature) -> Iterator[dict[str, Value]]:
    by_name = {tensor.name: tensor for tensor in columns}
    if len(by_name) < len(columns):
        raise BadRequest("Two tensors have the same name.")
    if unknown := sorted(by_name.keys() - signature.by_name.keys()):
        raise BadRequest(f"Tensor {printable(unknown[0])!r}: this model has no feature of this name.")
    if missing := [feature.name for feature in signature.features if feature.required and feature.name not in by_name]:
        raise BadRequest(f"A tensor is missing for feature {missing[0]!r}{_more(len(missing) - 1)}.")
    count = _counted(columns[0].shape[0])
    for tensor in columns:
        if tensor.shape not in ((count,), (count, 1)):
            raise BadRequest(
                f"Tensor {tensor.name!r}: shape {list(tensor.shape)} must be [{count}] or [{count}, 1], as many rows"
                f" as tensor {columns[0].name!r} has."
            )
    for row in range(count):
        yield {tensor.name: tensor.data[row] for tensor in columns}


def _counted(count: int) -> int:
    if not 0 < count <= MOST_ROWS:
        raise BadRequest(f"A request may have 1 to {MOST_ROWS} rows, not {count}; send more as a file to the batches.")
    return count


def _cleaned(given: Sequence[Mapping[str, Value]], signature: Signature, place: Any) -> list[list[Value]]:
    cleaned, wrong = [], []
    for number, row in enumerate(given):
        try:
            cleaned.append(signature.clean({name: _read(signature.by_name[name], row[name]) for name in row}))
        except InvalidInput as error:
            wrong += [f"{place(problem.feature)}, row {number}: {problem.message}" for problem in error.problems]
    if wrong:
        raise BadRequest(" ".join(wrong[:MOST_NAMED]) + _more(len(wrong) - MOST_NAMED))
    return cleaned


def _read(feature: Feature, value: Value) -> Value:
    """The value as the signature expects it: a tensor may have NaN for a missing number, and text for any choice."""
    if isinstance(value, float) and math.isnan(value) and not feature.required:
        return None
    if isinstance(feature, Choice) and isinstance(value, str):
        return {str(choice): choice for choice in feature.values}.get(value, value)
    return value


def _more(count: int) -> str:
    return f" (and {count} more)" if count > 0 else ""


def _datatype(feature: Feature) -> str:
    if isinstance(feature, Number):
        return "FP64"
    if isinstance(feature, Boolean):
        return "BOOL"
    whole = isinstance(feature, Integer) or (
        isinstance(feature, Choice) and all(isinstance(choice, int) for choice in feature.values)
    )
    return "INT64" if whole else "BYTES"
