"""Which tensors make which rows of a signature."""

import math
from typing import Any

import pytest

from predictions.api.inference_protocol import inputs
from predictions.api.inference_protocol.datatypes import DATATYPES
from predictions.api.inference_protocol.messages import InferenceRequest
from predictions.api.inference_protocol.tensors import Tensor
from predictions.serving.schema.request_errors import BadRequest
from predictions.serving.schema.signature import Signature, Value

NUMBERS = Signature.model_validate(
    [
        {"kind": "number", "name": "a", "minimum": 0.0},
        {"kind": "integer", "name": "b"},
        {"kind": "choice", "name": "c", "choices": [[1, "one"], [2, "two"]]},
    ]
)
KINDS = Signature.model_validate(
    [
        {"kind": "number", "name": "size", "required": False},
        {"kind": "choice", "name": "level", "choices": [[1, "low"], ["x", "other"]]},
        {"kind": "boolean", "name": "ripe"},
        {"kind": "text", "name": "note", "required": False},
    ]
)


def tensor(name: str, shape: tuple[int, ...], data: list[Value], datatype: str = "FP64") -> Tensor:
    return Tensor(name, DATATYPES[datatype], shape, data)


def rows(signature: Signature, *tensors: Tensor, content_type: str = "") -> list[list[Value]]:
    return inputs.rows(InferenceRequest("id", content_type, False, tensors, []), signature)


def refusal(signature: Signature, *tensors: Tensor, content_type: str = "") -> str:
    with pytest.raises(BadRequest) as refused:
        rows(signature, *tensors, content_type=content_type)
    return str(refused.value)


# --- One tensor -------------------------------------------------------------------------------------------------------
def test_one_tensor_is_cut_into_rows() -> None:
    given = rows(NUMBERS, tensor("whatever", (2, 3), [0.5, 1.0, 2.0, 1.5, 2.0, 1.0]))
    assert given == [[0.5, 1, 2], [1.5, 2, 1]]
    assert [type(value) for value in given[0]] == [float, int, int]


def test_one_tensor_may_be_named_like_a_feature() -> None:
    assert rows(NUMBERS, tensor("a", (1, 3), [0.5, 1.0, 2.0])) == [[0.5, 1, 2]]


@pytest.mark.parametrize("shape", [(3,), (1, 2), (1, 4), (1, 1, 3)])
def test_one_tensor_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    assert refusal(NUMBERS, tensor("x", shape, [1.0] * math.prod(shape))) == (
        f"Tensor 'x': shape {list(shape)} must be [rows, 3], a column for each feature in signature order;"
        " or send one tensor for each feature, named as the feature."
    )


@pytest.mark.parametrize("count", [0, 1001])
def test_number_of_rows_is_bounded(count: int) -> None:
    sentence = f"A request may have 1 to 1000 rows, not {count}; send more as a file to the batches."
    assert refusal(NUMBERS, tensor("x", (count, 3), [1.0] * 3 * count)) == sentence
    assert refusal(KINDS, tensor("level", (count,), [1] * count, "INT8"), *_required(count)) == sentence


def test_most_rows_are_taken() -> None:
    assert len(rows(NUMBERS, tensor("x", (1000, 3), [1.0] * 3000))) == 1000


def test_every_wrong_value_is_named_with_its_row() -> None:
    assert refusal(NUMBERS, tensor("x", (2, 3), [-1.0, 1.0, 2.0, 0.0, 1.5, 3.0])) == (
        "Tensor 'x', feature 'a', row 0: Must be at least 0."
        " Tensor 'x', feature 'b', row 1: Must be a whole number."
        " Tensor 'x', feature 'c', row 1: Must be one of: 1 (one), 2 (two)."
    )


def test_many_wrong_values_are_counted() -> None:
    sentence = refusal(NUMBERS, tensor("x", (100, 3), [-1.0, 1.0, 1.0] * 100))
    assert sentence.count("Must be at least") == 10
    assert sentence.endswith("(and 90 more)")


# --- A tensor for each feature ----------------------------------------------------------------------------------------
def _required(count: int = 1) -> tuple[Tensor]:
    return (tensor("ripe", (count,), [True] * count, "BOOL"),)


def test_columns_come_in_any_order_and_shape() -> None:
    given = rows(
        KINDS,
        tensor("ripe", (2, 1), [True, False], "BOOL"),
        tensor("size", (2,), [1.5, 2.5], "FP32"),
        tensor("level", (2,), [1, 1], "INT64"),
        tensor("note", (2, 1), ["fine", None], "BYTES"),
    )
    assert given == [[1.5, 1, True, "fine"], [2.5, 1, False, None]]


def test_what_may_be_missing_may_have_no_tensor() -> None:
    assert rows(KINDS, tensor("level", (1,), [1], "INT8"), *_required()) == [[None, 1, True, None]]


def test_missing_number_is_nan_only_where_it_may_be_missing() -> None:
    size = tensor("size", (1,), [math.nan])
    assert rows(KINDS, tensor("level", (1,), [1], "INT8"), *_required(), size) == [[None, 1, True, None]]
    assert refusal(NUMBERS, tensor("x", (1, 3), [math.nan, 1.0, 1.0])) == (
        "Tensor 'x', feature 'a', row 0: Must be a finite number, smaller than 1.8e308."
    )


def test_choice_that_is_a_number_may_come_as_text() -> None:
    levels = tensor("level", (2,), ["1", "x"], "BYTES")
    assert [row[1] for row in rows(KINDS, levels, *_required(2))] == [1, "x"]


def test_single_feature_may_come_either_way() -> None:
    alone = Signature.model_validate([{"kind": "number", "name": "a"}])
    for given in (tensor("a", (2,), [1.0, 2.0]), tensor("a", (2, 1), [1.0, 2.0]), tensor("x", (2, 1), [1.0, 2.0])):
        assert rows(alone, given) == [[1.0], [2.0]]


def test_pandas_content_type_means_columns() -> None:
    assert refusal(NUMBERS, tensor("x", (1, 3), [1.0] * 3), content_type="pd") == (
        "Tensor 'x': this model has no feature of this name."
    )


@pytest.mark.parametrize(
    ("tensors", "sentence"),
    [
        ([tensor("size", (1,), [1.0])], "A tensor is missing for feature 'level' (and 1 more)."),
        ([*_required(), *_required()], "Two tensors have the same name."),
        ([*_required(), tensor("smell", (1,), [1.0])], "Tensor 'smell': this model has no feature of this name."),
        (
            [*_required(2), tensor("level", (1,), [1], "INT8")],
            "Tensor 'level': shape [1] must be [2] or [2, 1], as many rows as tensor 'ripe' has.",
        ),
        (
            [tensor("ripe", (1, 2), [True, True], "BOOL"), tensor("level", (1,), [1], "INT8")],
            "Tensor 'ripe': shape [1, 2] must be [1] or [1, 1], as many rows as tensor 'ripe' has.",
        ),
        (
            [tensor("ripe", (1,), [1], "INT8"), tensor("level", (1,), [1], "INT8")],
            "Tensor 'ripe', row 0: Must be true or false.",
        ),
    ],
)
def test_columns_that_do_not_fit_are_named(tensors: list[Tensor], sentence: str) -> None:
    assert refusal(KINDS, *tensors) == sentence


# --- Metadata ---------------------------------------------------------------------------------------------------------
def test_metadata_of_numbers_is_one_tensor() -> None:
    names = {"feature_0": "a", "feature_1": "b", "feature_2": "c"}
    assert inputs.metadata(NUMBERS) == [{"name": "input", "datatype": "FP64", "shape": [-1, 3], "parameters": names}]


def test_metadata_of_kinds_is_a_tensor_for_each() -> None:
    expected: list[dict[str, Any]] = [
        {"name": name, "datatype": datatype, "shape": [-1, 1]}
        for name, datatype in [("size", "FP64"), ("level", "BYTES"), ("ripe", "BOOL"), ("note", "BYTES")]
    ]
    assert inputs.metadata(KINDS) == expected
