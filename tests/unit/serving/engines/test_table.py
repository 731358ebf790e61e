"""The table of the training data, rebuilt for a few rows: the same types, missing values written in the same way."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from predictions.serving.engines.table import build_table, typing_groups
from predictions.serving.schema.signature import Signature, Value
from predictions.serving.training.input_types import clean_rows, read_schema

MIXED = Signature.model_validate(
    [
        {"kind": "number", "name": "n", "required": False},
        {"kind": "integer", "name": "i", "required": False},
        {"kind": "choice", "name": "c", "required": False, "choices": [["x", "X"], ["y", "Y"]]},
        {"kind": "boolean", "name": "b", "required": False},
        {"kind": "date", "name": "d", "required": False},
    ]
)
DAYS = pd.to_datetime(["2024-01-31", None, "2024-02-29"])
FRAMES = {
    "plain": {
        "n": [0.5, np.nan, 2.0],
        "i": [1.0, np.nan, 3.0],
        "c": ["x", None, "y"],
        "b": [1.0, np.nan, 0.0],
        "d": DAYS,
    },
    "objects with NaN": {
        "n": [0.5, np.nan, 2.0],
        "i": pd.Series([1, np.nan, 3], dtype=object),
        "c": pd.Series(["x", np.nan, "y"], dtype=object),
        "b": pd.Series([True, np.nan, False], dtype=object),
        "d": DAYS,
    },
    "objects with None": {
        "n": np.array([0.5, np.nan, 2.0], dtype=np.float32),
        "i": pd.Series([1, None, 3], dtype=object),
        "c": pd.Series(["x", None, "y"], dtype=object),
        "b": pd.Series([True, None, False], dtype=object),
        "d": DAYS.tz_localize("UTC"),
    },
    "nullable": {
        "n": pd.array([0.5, None, 2.0], dtype="Float64"),
        "i": pd.array([1, None, 3], dtype="Int32"),
        "c": pd.array(["x", None, "y"], dtype="string"),
        "b": pd.array([True, None, False], dtype="boolean"),
        "d": pd.Series([day.date() if day == day else None for day in DAYS], dtype=object),
    },
    "categories": {
        "n": [0.5, np.nan, 2.0],
        "i": [1.0, np.nan, 3.0],
        "c": pd.Categorical(["x", None, "y"], categories=["z", "y", "x"], ordered=True),
        "b": pd.Categorical([True, None, False]),
        "d": DAYS,
    },
}


@pytest.mark.parametrize("name", FRAMES)
def test_frame_is_rebuilt_as_it_was_for_each_row_alone_and_for_all(name: str) -> None:
    x = pd.DataFrame(FRAMES[name])
    schema, rows = read_schema("training", x, MIXED), clean_rows("training", x, MIXED)
    pd.testing.assert_frame_equal(build_table(rows, schema), x)
    for place, row in enumerate(rows):
        pd.testing.assert_frame_equal(build_table([row], schema), x.iloc[[place]].reset_index(drop=True))


NUMBERS = Signature.model_validate(
    [{"kind": "number", "name": "0"}, {"kind": "number", "name": "1", "required": False}]
)
CODES = Signature.model_validate(
    [{"kind": "integer", "name": "a", "required": False}, {"kind": "integer", "name": "b", "required": False}]
)
TEXT = Signature.model_validate([{"kind": "text", "name": "t"}])


@pytest.mark.parametrize("dtype", [np.float64, np.float32, object])
def test_array_keeps_its_dtype(dtype: Any) -> None:
    x = np.array([[1.0, np.nan], [2.5, 3.0]], dtype=dtype)
    table = build_table(clean_rows("training", x, NUMBERS), read_schema("training", x, NUMBERS))
    assert (table.dtype, table.shape) == (x.dtype, x.shape)
    assert [[str(value) for value in row] for row in table] == [[str(value) for value in row] for row in x]


def test_numbered_columns_keep_their_labels() -> None:
    x = pd.DataFrame([[1.0, 2.0]])
    assert build_table([[1.0, 2.0]], read_schema("training", x, NUMBERS)).columns.tolist() == [0, 1]


@pytest.mark.parametrize("kind", [scipy.sparse.csr_matrix, scipy.sparse.csc_matrix, scipy.sparse.csr_array])
def test_sparse_table_keeps_its_class(kind: Any) -> None:
    x = kind(np.array([[0.0, 2.0], [1.0, 0.0]]))
    table = build_table([[0.0, 2.0]], read_schema("training", x, NUMBERS))
    assert (type(table), table.nnz, table.toarray().tolist()) == (type(x), 1, [[0.0, 2.0]])


@pytest.mark.parametrize(
    "x", [pd.Series(["a", "b"]), np.array(["a", "b"]), np.array(["a", "b"], dtype=object), ["a", "b"]]
)
def test_texts_stay_one_dimensional_and_whole(x: Any) -> None:
    schema = read_schema("training", x, TEXT)
    table = build_table([["longer than any seen"], ["two\nlines"]], schema)
    assert (type(table), list(table)) == (type(x), ["longer than any seen", "two\nlines"])


def test_row_that_does_not_fit_whole_numbers_is_typed_apart() -> None:
    x = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
    schema = read_schema("training", x, CODES)
    rows: list[list[Value]] = [[1, 2], [None, 3], [5, 6], [None, 7], [8, None]]
    groups = typing_groups(rows, schema)
    assert groups == [[0, 2], [1, 3], [4]]
    dtypes = [
        [str(dtype) for dtype in build_table([rows[place] for place in group], schema).dtypes] for group in groups
    ]
    assert dtypes == [["int64", "int64"], ["float64", "int64"], ["int64", "float64"]]


def test_fraction_and_overflow_do_not_fit_whole_numbers() -> None:
    schema = read_schema("training", np.array([[1, 2]], dtype=np.int8), NUMBERS)
    rows: list[list[Value]] = [[1.0, 2.0], [1.5, 2.0], [300.0, 2.0]]
    assert typing_groups(rows, schema) == [[0], [1, 2]]
    assert build_table(rows[1:], schema).tolist() == rows[1:]


def test_choice_that_is_no_category_is_refused() -> None:
    x = pd.DataFrame({**FRAMES["categories"], "c": pd.Categorical(["x", "x", "x"])})
    with pytest.raises(ValueError, match=r"Column c: the choices \['y'\] are no categories of the training data\."):
        read_schema("training", x, MIXED)
