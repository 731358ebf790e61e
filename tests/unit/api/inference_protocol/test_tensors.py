"""Valid tensors, and the messages for invalid ones."""

from typing import Any

import pytest

from predictions.api.inference_protocol.datatypes import DATATYPES
from predictions.api.inference_protocol.tensors import Tail, read
from predictions.serving.schema.request_errors import BadRequest

GOOD = {"name": "x", "shape": [2, 3], "datatype": "INT8", "data": [1, 2, 3, 4, 5, 6]}
SHAPE = "Tensor 'x': \"shape\" must be a list of whole numbers, for example [2, 4]."
DATATYPE = f"Tensor 'x': \"datatype\" must be one of {', '.join(DATATYPES)}."
OBJECT = 'Each of "inputs" must be an object with a "name", a "shape", a "datatype" and "data".'
NO_DATA = "Tensor 'x' has no \"data\"; it must be a list (shared memory is not offered)."


@pytest.mark.parametrize("data", [[1, 2, 3, 4, 5, 6], [[1, 2, 3], [4, 5, 6]]], ids=["flat", "nested"])
def test_data_is_flat_or_nested(data: list[Any]) -> None:
    tensor = read({**GOOD, "data": data}, Tail(b""))
    assert (tensor.name, tensor.shape, tensor.datatype.name, list(tensor.data)) == ("x", (2, 3), "INT8", GOOD["data"])


def test_tensors_take_their_bytes_in_their_order() -> None:
    tail = Tail(bytes([1, 2, 3, 4, 5]))
    said = {"name": "x", "datatype": "UINT8"}
    first = read({**said, "shape": [2], "parameters": {"binary_data_size": 2}}, tail)
    second = read({**said, "shape": [3], "parameters": {"binary_data_size": 3}}, tail)
    assert (list(first.data), list(second.data), tail.left) == ([1, 2], [3, 4, 5], 0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": ""}, OBJECT),
        ({"name": 7}, OBJECT),
        ({"shape": None}, SHAPE),
        ({"shape": []}, SHAPE),
        ({"shape": [-1, 3]}, SHAPE),
        ({"shape": [2, True]}, SHAPE),
        ({"shape": [2.0, 3]}, SHAPE),
        ({"datatype": None}, DATATYPE),
        ({"datatype": "FP128"}, DATATYPE),
        ({"datatype": []}, DATATYPE),
        ({"parameters": [1]}, "Tensor 'x': \"parameters\" must be an object."),
        ({"data": None}, NO_DATA),
        ({"data": "abc"}, NO_DATA),
        ({"shape": [3, 3]}, "Tensor 'x': shape [3, 3] needs 9 elements; 6 were given."),
        ({"shape": [10**9, 10**9, 10**9]}, f"Tensor 'x': shape {[10**9] * 3} needs {10**27} elements; 6 were given."),
        ({"data": [[1, 2, 3], [4, 5]]}, "Tensor 'x': \"data\" has 2 parts where its shape says 3."),
        ({"data": [[1, 2, 3], 4]}, "Tensor 'x': \"data\" has a single value where its shape says 3."),
        ({"data": [[1, 2, 3]]}, "Tensor 'x': \"data\" has 1 parts where its shape says 2."),
        ({"data": [[1, 2, 3], [4, [5], 6]]}, "Tensor 'x': \"data\" is nested more deeply than its shape says."),
        ({"data": [1, 2, 3, 4, 5, 128]}, "Tensor 'x': element [1, 2] is not a value of INT8."),
        ({"data": [1, 2.5, 3, 4, 5, 6]}, "Tensor 'x': element [0, 1] is not a value of INT8."),
        ({"data": [[1, 2, 3], [True, 5, 6]]}, "Tensor 'x': element [1, 0] is not a value of INT8."),
    ],
)
def test_what_is_no_tensor_is_named(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read({**GOOD, **change}, Tail(b""))
    assert str(refused.value) == sentence


@pytest.mark.parametrize("said", [None, 7, [], "x", {}])
def test_what_is_not_even_an_object_is_refused(said: Any) -> None:
    with pytest.raises(BadRequest, match="Each of"):
        read(said, Tail(b""))


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "sentence"),
    [
        ("FP64", [2], b"\0" * 15, "Tensor 'x': 2 elements of FP64 take 16 bytes, not 15."),
        ("FP64", [10**9, 10**9], b"", f"Tensor 'x': {10**18} elements of FP64 take {8 * 10**18} bytes, not 0."),
        ("BYTES", [2], b"\1\0\0\0a", "Tensor 'x': its bytes end before element 1."),
        ("BYTES", [1], b"\2\0\0\0a", "Tensor 'x': its bytes end within element 0."),
        ("BYTES", [1], b"\xff\xff\xff\xffa", "Tensor 'x': its bytes end within element 0."),
        ("BYTES", [1], b"\1\0\0\0\xff", "Tensor 'x': element 0 is not UTF-8."),
        ("BYTES", [1], b"\1\0\0\0abc", "Tensor 'x': 2 bytes follow its last element."),
    ],
)
def test_bytes_that_are_no_tensor_are_named(datatype: str, shape: list[int], data: bytes, sentence: str) -> None:
    said = {"name": "x", "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": len(data)}}
    with pytest.raises(BadRequest) as refused:
        read(said, Tail(data))
    assert str(refused.value) == sentence


def test_long_name_is_shortened_in_the_sentence() -> None:
    with pytest.raises(BadRequest) as refused:
        read({**GOOD, "name": "n" * 500, "shape": None}, Tail(b""))
    assert len(str(refused.value)) < 200
