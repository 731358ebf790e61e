"""The binary tensor data extension, in the bytes that an unmodified client of Triton writes and reads."""

from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton

from predictions.models import Prediction, RegisteredModel
from tests.support.api_client import ApiClient

pytestmark = pytest.mark.usefixtures("registered", "worker")

LENGTH = "Inference-Header-Content-Length"
FLOWERS = np.array([[5.1, 3.5, 1.4, 0.2], [6.3, 2.8, 5.1, 1.5]])


def tensor(name: str, data: Any, datatype: str, *, as_bytes: bool = True) -> triton.InferInput:
    made = triton.InferInput(name, list(data.shape), datatype)
    return made.set_data_from_numpy(data, binary_data=as_bytes)


def ask(client: ApiClient, model: str, inputs: list[Any], outputs: list[Any] | None = None) -> triton.InferResult:
    body, length = triton.InferenceServerClient.generate_request_body(inputs, outputs=outputs)
    headers = {LENGTH: str(length)} if length is not None else {}
    response = client.generic("POST", f"/v2/models/{model}/infer", body, content_type="", headers=headers)
    assert response.status_code == 200, response.content
    length = int(response[LENGTH]) if LENGTH in response else None
    assert response["Content-Type"] == ("application/octet-stream" if length else "application/json")
    return triton.InferenceServerClient.parse_response_body(response.content, header_length=length)


@pytest.mark.parametrize(
    ("datatype", "dtype"),
    [("FP64", np.float64), ("FP32", np.float32), ("FP16", np.float16), ("INT64", np.int64), ("UINT8", np.uint8)],
)
def test_numbers_as_bytes_are_those_numbers(client: ApiClient, datatype: str, dtype: type) -> None:
    given = FLOWERS.astype(dtype)
    result = ask(client, "iris", [tensor("input", given, datatype)])
    kept = Prediction.objects.order_by("created_at", "id")
    assert [row.values for row in kept] == given.tolist()
    assert result.as_numpy("predict").tolist() == [[row.output["label"].encode()] for row in kept]


def test_every_kind_of_feature_as_bytes(client: ApiClient, kinds: RegisteredModel) -> None:
    inputs = [
        tensor("long side", np.array([1.5, 20.0]), "FP64"),
        tensor("count", np.array([[2], [3]]), "INT64"),
        tensor("colour", np.array(["r", "g"], dtype=object), "BYTES"),
        tensor("ripe", np.array([True, False]), "BOOL"),
        tensor("note", np.array(["grün", ""], dtype=object), "BYTES", as_bytes=False),
        tensor("a/b~c", np.array([np.nan, 0.5]), "FP64"),
    ]
    result = ask(client, "kinds", inputs)
    assert result.as_numpy("predict").tolist() == [[3.5], [23.0]]
    assert [row.values for row in Prediction.objects.order_by("created_at", "id")] == [
        [1.5, 2, "r", True, "grün", None],  # NaN in a tensor stands for an optional number that is missing
        [20.0, 3, "g", False, "", 0.5],
    ]


def test_outputs_come_as_each_is_asked_for(client: ApiClient) -> None:
    outputs = [
        triton.InferRequestedOutput("predict_proba"),
        triton.InferRequestedOutput("predict", binary_data=False),
    ]
    result = ask(client, "iris", [tensor("input", FLOWERS, "FP64")], outputs)
    kept = [row.output["probabilities"] for row in Prediction.objects.order_by("created_at", "id")]
    assert result.as_numpy("predict_proba").tolist() == [
        [
            shares[label] for label in ("setosa", "versicolor", "virginica")
        ]  # PostgreSQL reorders the members of an object
        for shares in kept
    ]
    assert result.get_output("predict_proba")["parameters"]["class_0"] == "setosa"
    assert "data" in result.get_output("predict")


def test_json_request_with_json_outputs_is_answered_in_json(client: ApiClient) -> None:
    outputs = [triton.InferRequestedOutput("predict", binary_data=False)]
    result = ask(client, "iris", [tensor("input", FLOWERS, "FP64", as_bytes=False)], outputs)
    assert result.as_numpy("predict").shape == (2, 1)


@pytest.mark.parametrize(("datatype", "value"), [("FP64", np.inf), ("FP32", np.nan)])
def test_number_that_is_not_finite_is_refused_with_its_place(client: ApiClient, datatype: str, value: float) -> None:
    given = FLOWERS.astype(np.float64 if datatype == "FP64" else np.float32)
    given[1, 2] = value
    body, length = triton.InferenceServerClient.generate_request_body([tensor("input", given, datatype)])
    response = client.generic("POST", "/v2/models/iris/infer", body, content_type="", headers={LENGTH: str(length)})
    sentence = "Tensor 'input', feature 'petal length (cm)', row 1: Must be a finite number, smaller than 1.8e308."
    assert (response.status_code, response.json()) == (400, {"error": sentence})
    assert not Prediction.objects.exists()


def test_bytes_that_do_not_fit_are_refused(client: ApiClient) -> None:
    body, length = triton.InferenceServerClient.generate_request_body([tensor("input", FLOWERS, "FP64")])
    for wrong, sentence in [
        (body[:-1], "Tensor 'input': of its 64 bytes only 63 came."),
        (body + b"x", "1 bytes follow the last tensor."),
    ]:
        response = client.generic(
            "POST", "/v2/models/iris/infer", wrong, content_type="", headers={LENGTH: str(length)}
        )
        assert (response.status_code, response.json()) == (400, {"error": sentence})
    assert not Prediction.objects.exists()
