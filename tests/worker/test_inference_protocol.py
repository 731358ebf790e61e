"""The unmodified client of Triton Inference Server with the real processes."""

import asyncio
from collections.abc import Iterator
from typing import Any

import joblib
import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as aio
from sklearn import datasets

from tests.support.stack import Stack
from tests.support.waiting import wait_until

DEMOS = {
    "breast-cancer": datasets.load_breast_cancer,
    "diabetes": lambda: datasets.load_diabetes(scaled=False),
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
}


@pytest.fixture
def client(stack: Stack) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(f"127.0.0.1:{stack.env['PORT']}") as client:
        yield client


def tensor(data: Any, *, as_bytes: bool = True) -> triton.InferInput:
    input_ = triton.InferInput("input", list(data.shape), "FP32" if data.dtype == np.float32 else "FP64")
    return input_.set_data_from_numpy(data, binary_data=as_bytes)


def test_server_has_metadata(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.get_server_metadata()["name"] == "foretell"


def test_readiness_of_models(client: triton.InferenceServerClient) -> None:
    assert all(client.is_model_ready(name) and client.is_model_ready(name, "1") for name in DEMOS)
    for name in ("damaged", "other-library", "other-answers"):
        wait_until(lambda name=name: not client.is_model_ready(name), 20, f"{name} is not ready")
    assert client.is_server_ready()  # the server is ready although some models do not serve
    states = {model["name"]: model["state"] for model in client.get_model_repository_index()}
    assert (states["iris"], states["damaged"]) == ("READY", "UNAVAILABLE")
    with pytest.raises(triton.InferenceServerException, match="cannot answer at the moment"):
        client.infer("damaged", [tensor(np.ones((1, 4)))])


@pytest.mark.parametrize("as_bytes", [True, False], ids=["bytes", "JSON"])
@pytest.mark.parametrize("name", DEMOS)
def test_predictions_equal_those_of_the_estimator(
    stack: Stack, client: triton.InferenceServerClient, name: str, as_bytes: bool
) -> None:
    rows = DEMOS[name]().data[::20].astype(np.float64)
    metadata = client.get_model_metadata(name)
    names = [output["name"] for output in metadata["outputs"]]
    assert metadata["inputs"][0]["shape"] == [-1, rows.shape[1]]

    outputs = [triton.InferRequestedOutput(output, binary_data=as_bytes) for output in names]
    result = client.infer(name, [tensor(rows, as_bytes=as_bytes)], outputs=outputs, request_id="mine")

    response = result.get_response()
    assert (response["id"], response["model_name"], response["model_version"]) == ("mine", name, "1")
    estimator = joblib.load(stack.models / name / "versions/1/estimator.joblib")
    if names == ["predict"]:
        assert result.as_numpy("predict")[:, 0] == pytest.approx(estimator.predict(rows))
        return
    parameters = metadata["outputs"][1]["parameters"]
    labels = [parameters[f"class_{position}"].encode() for position in estimator.predict(rows)]
    assert result.as_numpy("predict")[:, 0].astype(bytes).tolist() == labels
    assert result.as_numpy("predict_proba") == pytest.approx(estimator.predict_proba(rows))


def test_request_without_options_is_answered(client: triton.InferenceServerClient) -> None:
    result = client.infer("iris", [tensor(np.array([[5.1, 3.5, 1.4, 0.2]], dtype=np.float32))])
    assert result.as_numpy("predict").tolist() == [[b"setosa"]]


def test_coroutines_of_tritons_client_are_answered(stack: Stack) -> None:
    async def ask() -> list[Any]:
        async with aio.InferenceServerClient(f"127.0.0.1:{stack.env['PORT']}") as client:
            assert await client.is_server_ready()
            assert (await client.get_model_metadata("probe"))["inputs"]
            rows = [np.array([[float(number), 0.0]]) for number in range(20)]
            return await asyncio.gather(*[client.infer("probe", [tensor(row)]) for row in rows])

    answers = [result.as_numpy("predict").tolist() for result in asyncio.run(ask())]
    assert answers == [[[2.0 * number + 1]] for number in range(20)]


def test_coroutine_of_tritons_client_gets_the_reason_of_a_refusal(stack: Stack) -> None:
    async def ask() -> None:
        async with aio.InferenceServerClient(f"127.0.0.1:{stack.env['PORT']}") as client:
            await client.infer("iris", [tensor(np.ones((1, 3)))])

    with pytest.raises(triton.InferenceServerException, match="4") as refused:
        asyncio.run(ask())
    assert refused.value.status() == "400"


def test_one_tensor_per_feature_is_answered(client: triton.InferenceServerClient) -> None:
    x, seconds = triton.InferInput("x", [3], "INT64"), triton.InferInput("seconds", [3, 1], "FP32")
    x.set_data_from_numpy(np.array([1, 2, 3]))
    seconds.set_data_from_numpy(np.zeros((3, 1), dtype=np.float32))
    assert client.infer("probe", [x, seconds]).as_numpy("predict").tolist() == [[3.0], [5.0], [7.0]]


def test_rows_of_one_request_share_claims(stack: Stack, client: triton.InferenceServerClient) -> None:
    before = {row["id"] for row in stack.rows()}
    rows = np.column_stack([np.arange(200.0), np.zeros(200)])
    result = client.infer("probe", [tensor(rows)])
    assert result.as_numpy("predict")[:, 0].tolist() == (2 * rows[:, 0] + 1).tolist()
    stored = [row for row in stack.rows() if row["id"] not in before]
    assert len(stored) == 200
    # 200 rows need four claims of at most 64 rows.
    assert len({row["claim"] for row in stored}) == 4


def test_error_names_the_row_without_an_answer(client: triton.InferenceServerClient) -> None:
    with pytest.raises(triton.InferenceServerException, match="Row 1 has no answer: The model could not") as failed:
        client.infer("probe", [tensor(np.array([[1.0, 0], [1_000_001, 0], [3, 0]]))])
    assert failed.value.status() == "500"


def test_gzip_is_understood_both_ways(client: triton.InferenceServerClient) -> None:
    rows = np.column_stack([np.arange(1000.0), np.zeros(1000)])
    packed = {"request_compression_algorithm": "gzip", "response_compression_algorithm": "gzip"}
    result = client.infer("probe", [tensor(rows)], **packed)
    assert result.as_numpy("predict")[:, 0].tolist() == (2 * rows[:, 0] + 1).tolist()


def test_other_compression_is_refused(client: triton.InferenceServerClient) -> None:
    with pytest.raises(triton.InferenceServerException, match="compressed") as refused:
        client.infer("iris", [tensor(np.ones((1, 4)))], request_compression_algorithm="deflate")
    assert refused.value.status() == "415"


def test_triton_tools_get_configuration_and_statistics(client: triton.InferenceServerClient) -> None:
    assert client.get_model_config("iris")["max_batch_size"] == 1000
    assert client.get_inference_statistics("iris")["model_stats"][0]["name"] == "iris"
    assert len(client.get_inference_statistics()["model_stats"]) > 1


def test_unsupported_operation_is_404(client: triton.InferenceServerClient) -> None:
    for operation in (
        lambda: client.unload_model("iris"),
        lambda: client.get_trace_settings(),
    ):
        with pytest.raises(triton.InferenceServerException, match="is not offered here") as refused:
            operation()
        assert refused.value.status() == "404"
