"""Tensors of requests and responses."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from predictions.api.inference_protocol.datatypes import DATATYPES, Datatype
from predictions.serving.schema.request_errors import BadRequest
from predictions.serving.schema.signature import Value
from predictions.serving.schema.wording import printable


@dataclass(frozen=True)
class Tensor:
    """`data` is flat, in row-major order, and has as many elements as `shape` says."""

    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    data: Sequence[Value]
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def described(self) -> dict[str, Any]:
        """The tensor as in a response, without the data."""
        said: dict[str, Any] = {"name": self.name, "shape": list(self.shape), "datatype": self.datatype.name}
        return {**said, "parameters": dict(self.parameters)} if self.parameters else said


class Tail:
    """The bytes after the JSON of a body. They are taken tensor by tensor, in order."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._start = 0

    def take(self, size: int, name: str) -> bytes:
        taken = self._data[self._start : self._start + size]
        if len(taken) < size:
            raise BadRequest(f"Tensor {name!r}: of its {size} bytes only {len(taken)} came.")
        self._start += size
        return taken

    @property
    def left(self) -> int:
        return len(self._data) - self._start


def read(said: Any, tail: Tail) -> Tensor:
    """An input of a request.

    Raises:
        BadRequest: it is no tensor, or its shape, datatype and data do not fit. The message names the tensor.
    """
    if not isinstance(said, dict) or not isinstance(said.get("name"), str) or not said["name"]:
        raise BadRequest('Each of "inputs" must be an object with a "name", a "shape", a "datatype" and "data".')
    name = printable(said["name"])
    shape, datatype = _shape(said.get("shape"), name), _datatype(said.get("datatype"), name)
    parameters = said.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise BadRequest(f'Tensor {name!r}: "parameters" must be an object.')
    size = parameters.get("binary_data_size")
    if size is None:
        data = _listed(said.get("data"), shape, datatype, name)
    elif "data" in said:
        raise BadRequest(f'Tensor {name!r} has both "data" and "binary_data_size"; send one of the two.')
    else:
        data = _binary(size, shape, datatype, name, tail)
    return Tensor(said["name"], datatype, shape, data)


def _shape(said: Any, name: str) -> tuple[int, ...]:
    if not isinstance(said, list) or not said or not all(type(length) is int and length >= 0 for length in said):
        raise BadRequest(f'Tensor {name!r}: "shape" must be a list of whole numbers, for example [2, 4].')
    return tuple(said)


def _datatype(said: Any, name: str) -> Datatype:
    found = DATATYPES.get(said) if isinstance(said, str) else None
    if said == "BF16":
        raise BadRequest(f"Tensor {name!r}: BF16 is not read here, since it has no form in JSON; send FP32 instead.")
    if found is None:
        raise BadRequest(f'Tensor {name!r}: "datatype" must be one of {", ".join(DATATYPES)}.')
    return found


def _binary(size: Any, shape: tuple[int, ...], datatype: Datatype, name: str, tail: Tail) -> list[Value]:
    if type(size) is not int or size < 0:
        raise BadRequest(f'Tensor {name!r}: "binary_data_size" must be a whole number.')
    data = tail.take(size, name)
    try:
        return datatype.unpack(data, math.prod(shape))
    except ValueError as error:
        raise BadRequest(f"Tensor {name!r}: {error}.") from None


def _listed(said: Any, shape: tuple[int, ...], datatype: Datatype, name: str) -> list[Value]:
    if not isinstance(said, list):
        raise BadRequest(f'Tensor {name!r} has no "data"; it must be a list (shared memory is not offered).')
    data = list(_flat(said, shape, name)) if any(isinstance(part, list) for part in said) else said
    if len(data) != math.prod(shape):
        raise BadRequest(
            f"Tensor {name!r}: shape {list(shape)} needs {math.prod(shape)} elements; {len(data)} were given."
        )
    for index, value in enumerate(data):
        if not datatype.holds(value):
            place = _place(index, shape)
            raise BadRequest(f"Tensor {name!r}: element {place} is not a value of {datatype.name}.")
    return data


def _flat(part: Any, shape: tuple[int, ...], name: str) -> Iterator[Any]:
    """The elements of nested data, which must be nested exactly as the shape says."""
    if not shape:
        if isinstance(part, list):
            raise BadRequest(f'Tensor {name!r}: "data" is nested more deeply than its shape says.')
        yield part
        return
    if not isinstance(part, list) or len(part) != shape[0]:
        given = f"{len(part)} parts" if isinstance(part, list) else "a single value"
        raise BadRequest(f'Tensor {name!r}: "data" has {given} where its shape says {shape[0]}.')
    for inner in part:
        yield from _flat(inner, shape[1:], name)


def _place(index: int, shape: tuple[int, ...]) -> list[int]:
    place: list[int] = []
    for length in reversed(shape):
        index, here = divmod(index, length)
        place.insert(0, here)
    return place
