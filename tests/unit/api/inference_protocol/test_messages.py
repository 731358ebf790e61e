"""Bodies of the protocol."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictions.api.inference_protocol import messages
from predictions.api.inference_protocol.datatypes import DATATYPES
from predictions.api.inference_protocol.tensors import Tensor
from predictions.models import ModelVersion, RegisteredModel
from predictions.serving.schema.request_errors import BadRequest, NotJSON
from tests.support.api_request import api_request

X = {"name": "x", "shape": [1], "datatype": "BOOL", "data": [True]}


def read(body: Any, **headers: str) -> messages.InferenceRequest:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return messages.read(api_request(data, **headers))


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ([], "The body must be a JSON object."),
        ({}, '"inputs" must have at least one tensor.'),
        ({"inputs": {}}, '"inputs" must be a list.'),
        ({"inputs": [X], "outputs": {}}, '"outputs" must be a list.'),
        ({"inputs": [X], "outputs": ["predict"]}, 'Each of "outputs" must be an object with a "name".'),
        (
            {"inputs": [X], "outputs": [{"name": "predict", "parameters": {"classification": 2}}]},
            "Output 'predict': 'classification' is not offered here.",
        ),
        ({"inputs": [X], "id": 7}, '"id" must be a text of at most 200 printable characters.'),
        ({"inputs": [X], "id": "x" * 201}, '"id" must be a text of at most 200 printable characters.'),
        ({"inputs": [X], "id": "\ud800"}, '"id" must be a text of at most 200 printable characters.'),
        ({"inputs": [X], "parameters": [1]}, '"parameters" must be an object.'),
    ],
)
def test_what_is_no_request_is_refused(body: Any, sentence: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read(body)
    assert str(refused.value) == sentence


@pytest.mark.parametrize("length", ["-1", "x", "3", "9" * 5000, "²"])
def test_length_that_means_nothing_is_refused(length: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read(b"{}", **{messages.JSON_LENGTH: length})
    assert str(refused.value) == (
        "Inference-Header-Content-Length must be the number of bytes of the JSON, at most the 2 of the body."
    )


@pytest.mark.parametrize(
    ("parameters", "output", "as_bytes"),
    [
        ({}, {}, False),
        ({"binary_data_output": True}, {}, True),
        ({"binary_data_output": True}, {"parameters": {"binary_data": False}}, False),
        ({}, {"parameters": {"binary_data": True}}, True),
    ],
)
def test_output_goes_as_bytes_where_that_is_asked_for(
    parameters: dict[str, Any], output: dict[str, Any], as_bytes: bool
) -> None:
    asked = read({"inputs": [X], "parameters": parameters, "outputs": [{"name": "predict", **output}]})
    assert list(asked.outputs) == [messages.RequestedOutput("predict", as_bytes)]


def test_bytes_follow_the_json() -> None:
    said = {"name": "x", "shape": [2], "datatype": "UINT8", "parameters": {"binary_data_size": 2}}
    head = json.dumps({"id": "mine", "inputs": [said]}).encode()
    asked = read(head + b"\1\2", **{messages.JSON_LENGTH: str(len(head))})
    assert (asked.id, list(asked.inputs[0].data)) == ("mine", [1, 2])


@pytest.mark.parametrize("has_bytes", [False, True])
def test_nan_is_null_in_the_json_of_a_reply(has_bytes: bool) -> None:
    version = ModelVersion(registered_model=RegisteredModel(name="height"), number=3)
    numbers = Tensor("predict", DATATYPES["FP64"], (1, 1), [1.5])
    interval = Tensor("interval", DATATYPES["FP64"], (1, 2), [math.nan, math.nan])

    reply = messages.reply(read({"inputs": [X]}), version, [(numbers, has_bytes), (interval, False)])

    assert isinstance(reply.content, bytes)
    length = int(reply.headers.get(messages.JSON_LENGTH, len(reply.content)))
    body = json.loads(reply.content[:length], parse_constant=pytest.fail)
    assert body["outputs"][1]["data"] == [None, None]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
TENSOR = st.fixed_dictionaries(
    {},
    optional={
        "name": st.just("x") | JSON,
        "shape": st.lists(st.integers(0, 3), max_size=3) | JSON,
        "datatype": st.sampled_from(list(DATATYPES)) | JSON,
        "data": JSON,
        "parameters": st.fixed_dictionaries({"binary_data_size": st.integers(-1, 20) | JSON}) | JSON,
    },
)
BODY = st.fixed_dictionaries(
    {"inputs": st.lists(TENSOR, max_size=2) | JSON}, optional={"id": JSON, "parameters": JSON, "outputs": JSON}
)


@given(BODY, st.binary(max_size=20))
def test_any_body_is_a_request_or_an_error(body: Any, tail: bytes) -> None:
    head = json.dumps(body).encode()
    try:
        asked = read(head + tail, **{messages.JSON_LENGTH: str(len(head))})
    except (BadRequest, NotJSON):
        return
    assert all(len(tensor.data) == math.prod(tensor.shape) for tensor in asked.inputs)
