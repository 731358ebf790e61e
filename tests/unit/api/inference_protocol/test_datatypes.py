"""The layout of the datatypes in bytes, compared with numpy's and Triton's."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor, triton_to_np_dtype

from predictions.api.inference_protocol.datatypes import DATATYPES

FIXED = sorted(DATATYPES.keys() - {"BYTES"})


@pytest.mark.parametrize("name", FIXED)
def test_fixed_datatype_is_laid_out_as_numpys(name: str) -> None:
    values = [True, False, True] if name == "BOOL" else [1, 0, 100]
    data = np.array(values, dtype=triton_to_np_dtype(name)).tobytes()
    assert DATATYPES[name].unpack(data, 3) == values
    assert DATATYPES[name].pack(values) == data


@pytest.mark.parametrize("name", [name for name in FIXED if "INT" in name])
def test_bounds_of_whole_numbers_are_numpys(name: str) -> None:
    limits = np.iinfo(triton_to_np_dtype(name))
    datatype = DATATYPES[name]
    assert (datatype.low, datatype.high) == (limits.min, limits.max)
    assert [datatype.holds(n) for n in (int(limits.min) - 1, int(limits.max) + 1)] == [False, False]


@pytest.mark.parametrize("name", ["FP16", "FP32"])
def test_bounds_of_floating_numbers_are_numpys(name: str) -> None:
    limits = np.finfo(triton_to_np_dtype(name))
    assert (DATATYPES[name].low, DATATYPES[name].high) == (float(limits.min), float(limits.max))


@given(st.lists(st.text(), min_size=1))
def test_texts_are_laid_out_as_tritons(texts: list[str]) -> None:
    encoded = [text.encode() for text in texts]
    data = serialize_byte_tensor(np.array(encoded, dtype=object)).item()
    assert DATATYPES["BYTES"].unpack(data, len(texts)) == texts
    assert DATATYPES["BYTES"].pack(texts) == data
    assert deserialize_bytes_tensor(data).tolist() == encoded


@given(st.binary(max_size=60), st.integers(0, 20), st.sampled_from(list(DATATYPES)))
def test_any_bytes_are_values_or_an_error(data: bytes, count: int, name: str) -> None:
    try:
        values = DATATYPES[name].unpack(data, count)
    except ValueError:
        return
    assert len(values) == count


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("BOOL", [1, 0, "true"]),
        ("INT64", [True, 1.0, "1"]),
        ("FP64", [True, "1.0", []]),
        ("BYTES", [1, True, {}]),
    ],
)
def test_values_of_other_types_are_not_taken(name: str, values: list[Any]) -> None:
    assert [DATATYPES[name].holds(value) for value in values] == [False] * len(values)


@pytest.mark.parametrize("name", list(DATATYPES))
def test_null_is_of_every_datatype(name: str) -> None:
    assert DATATYPES[name].holds(None)
