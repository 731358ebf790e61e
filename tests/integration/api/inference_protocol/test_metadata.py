"""The metadata of the server, its models and their tensors."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from pytest_django.fixtures import Settings

from predictions.models import MetricHistogram, ModelVersion, RegisteredModel
from tests.support.api_client import ApiClient

IRIS_INPUT = {
    "name": "input",
    "datatype": "FP64",
    "shape": [-1, 4],
    "parameters": {
        "feature_0": "sepal length (cm)",
        "feature_1": "sepal width (cm)",
        "feature_2": "petal length (cm)",
        "feature_3": "petal width (cm)",
    },
}
IRIS_OUTPUTS = [
    {"name": "predict", "datatype": "BYTES", "shape": [-1, 1]},
    {
        "name": "predict_proba",
        "datatype": "FP64",
        "shape": [-1, 3],
        "parameters": {"class_0": "setosa", "class_1": "versicolor", "class_2": "virginica"},
    },
]


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_server_says_what_it_is(client: ApiClient, db: None, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    said = response.json()
    assert (said["name"], said["extensions"]) == (
        "foretell",
        ["binary_tensor_data", "model_configuration", "statistics"],
    )
    assert said["version"]


def test_model_of_numbers_takes_one_tensor(client: ApiClient, registered: dict[str, RegisteredModel]) -> None:
    assert client.get("/v2/models/iris").json() == {
        "name": "iris",
        "versions": ["1"],
        "platform": "sklearn_joblib",
        "inputs": [IRIS_INPUT],
        "outputs": IRIS_OUTPUTS,
    }


def test_model_of_many_kinds_takes_a_tensor_for_each_feature(client: ApiClient, kinds: RegisteredModel) -> None:
    said = client.get("/v2/models/kinds").json()
    assert {tensor["name"]: tensor["datatype"] for tensor in said["inputs"]} == {
        "long side": "FP64",
        "count": "INT64",
        "colour": "BYTES",
        "ripe": "BOOL",
        "note": "BYTES",
        "a/b~c": "FP64",
    }
    assert {tuple(tensor["shape"]) for tensor in said["inputs"]} == {(-1, 1)}
    assert said["outputs"] == [{"name": "predict", "datatype": "FP64", "shape": [-1, 1]}]


def test_configuration_has_the_tensors_of_one_row(client: ApiClient, registered: dict[str, RegisteredModel]) -> None:
    said = client.get("/v2/models/iris/config").json()
    assert (said["name"], said["max_batch_size"]) == ("iris", 1000)
    assert said["input"] == [{"name": "input", "data_type": "TYPE_FP64", "dims": [4]}]
    assert said["output"][0] == {"name": "predict", "data_type": "TYPE_STRING", "dims": [1]}


def test_statistics_count_what_has_ended(client: ApiClient, registered: dict[str, RegisteredModel]) -> None:
    MetricHistogram.objects.add("total", "iris", "succeeded", {"1.0": 1, "+Inf": 1}, 2.0)
    MetricHistogram.objects.add("total", "iris", "failed", {"1.0": 1}, 0.25)
    [said] = client.get("/v2/models/iris/stats").json()["model_stats"]
    assert (said["name"], said["version"], said["inference_count"]) == ("iris", "1", 2)
    assert said["inference_stats"]["success"] == {"count": 2, "ns": 2_000_000_000}
    assert said["inference_stats"]["fail"] == {"count": 1, "ns": 250_000_000}
    assert len(client.get("/v2/models/stats").json()["model_stats"]) == len(registered)


def test_version_has_its_own_metadata(client: ApiClient, second_iris: ModelVersion) -> None:
    first, second = (client.get(f"/v2/models/iris/versions/{number}").json() for number in (1, 2))
    assert first["outputs"] == client.get("/v2/models/iris").json()["outputs"] == IRIS_OUTPUTS
    assert second["outputs"][1]["parameters"] == {"class_0": "one", "class_1": "two", "class_2": "three"}
    assert first["versions"] == second["versions"] == ["1", "2"]


# --- Readiness --------------------------------------------------------------------------------------------------------
def test_live_server_needs_no_database(client: ApiClient) -> None:
    response = client.get("/v2/health/live")
    assert (response.status_code, response.json()) == (200, {"live": True})


@pytest.mark.parametrize("path", ["models/iris/ready", "models/iris/versions/1/ready"])
def test_serving_model_is_ready(client: ApiClient, registered: dict[str, RegisteredModel], path: str) -> None:
    response = client.get(f"/v2/{path}")
    assert (response.status_code, response.json()) == (200, {"name": "iris", "ready": True})


def test_server_is_ready_though_one_model_is_not(client: ApiClient, second_iris: ModelVersion) -> None:
    ModelVersion.objects.filter(registered_model__name="iris").update(unavailable_reason="secret: /home")
    assert client.get("/v2/health/ready").status_code == 200
    assert client.get("/v2/models/iris/ready").status_code == 503
    assert client.get("/v2/models/wine/ready").status_code == 200


def test_server_is_not_ready_while_its_database_is_away(client: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise OperationalError("secret: /var")

    monkeypatch.setattr(RegisteredModel.objects, "exists", away)
    assert client.get("/v2/health/ready").status_code == 503


@pytest.mark.parametrize("path", ["models/iris/ready", "models/iris/versions/1/ready"])
def test_model_that_cannot_serve_is_not_ready(
    client: ApiClient, registered: dict[str, RegisteredModel], path: str
) -> None:
    ModelVersion.objects.filter(registered_model__name="iris").update(unavailable_reason="secret: /home")
    response = client.get(f"/v2/{path}")
    assert (response.status_code, response.json()) == (503, {"error": "Model 'iris' does not serve at the moment."})


def test_index_lists_every_version(client: ApiClient, second_iris: ModelVersion) -> None:
    ModelVersion.objects.mark_unavailable(second_iris.pk, "secret: /home")
    everything = client.generic("POST", "/v2/repository/index", content_type="").json()
    assert [(one["name"], one["version"], one["state"]) for one in everything] == [
        ("breast-cancer", "1", "READY"),
        ("diabetes", "1", "READY"),
        ("iris", "1", "READY"),
        ("iris", "2", "UNAVAILABLE"),
        ("wine", "1", "READY"),
    ]
    assert "secret" not in json.dumps(everything)
    ready = client.post("/v2/repository/index", {"ready": True}, content_type="application/json").json()
    assert ready == [one for one in everything if one["state"] == "READY"]


@pytest.mark.parametrize("path", ["models/iris/ready", "models/iris/versions/1/ready"])
def test_paused_model_is_not_ready(client: ApiClient, registered: dict[str, RegisteredModel], path: str) -> None:
    RegisteredModel.objects.filter(name="iris").update(paused_reason="The data is checked.")
    response = client.get(f"/v2/{path}")
    error = "This model accepts no predictions at the moment: The data is checked."
    assert (response.status_code, response.json()) == (503, {"error": error})
    assert client.get("/v2/models/wine/ready").status_code == 200


def test_index_gives_the_reason_of_a_pause(client: ApiClient, second_iris: ModelVersion) -> None:
    RegisteredModel.objects.filter(name="iris").update(paused_reason="The data is checked.")
    index = client.generic("POST", "/v2/repository/index", content_type="").json()
    assert [one for one in index if one["name"] == "iris"] == [
        {"name": "iris", "version": number, "state": "UNAVAILABLE", "reason": "The data is checked."}
        for number in ("1", "2")
    ]
    ready = client.post("/v2/repository/index", {"ready": True}, content_type="application/json").json()
    assert [one["name"] for one in ready] == ["breast-cancer", "diabetes", "wine"]


# --- Refusals ---------------------------------------------------------------------------------------------------------
REFUSALS = {
    ("get", "models/nothing"): (404, "There is no model 'nothing'."),
    ("get", "models/nothing/ready"): (404, "There is no model 'nothing'."),
    ("post", "models/nothing/infer"): (404, "There is no model 'nothing'."),
    ("get", "models/iris/versions/9"): (404, "Model 'iris' has no version 9."),
    ("get", "models/iris/versions/9/ready"): (404, "Model 'iris' has no version 9."),
    ("post", "models/iris/versions/one/infer"): (404, "Model 'iris' has no version one."),
    ("get", "models/nothing/stats"): (404, "There is no model 'nothing'."),
    ("get", "models/nothing/config"): (404, "There is no model 'nothing'."),
    ("get", "models/iris/trace/setting"): (404, "GET /v2/models/iris/trace/setting is not offered here."),
    ("post", "repository/models/iris/load"): (404, "POST /v2/repository/models/iris/load is not offered here."),
    ("get", "systemsharedmemory/status"): (404, "GET /v2/systemsharedmemory/status is not offered here."),
    ("get", "models/iris/infer"): (405, 'Method "GET" not allowed.'),
    ("post", "models/iris"): (405, 'Method "POST" not allowed.'),
}


def test_what_is_not_there_is_refused_in_the_protocols_words(
    client: ApiClient, registered: dict[str, RegisteredModel]
) -> None:
    given = {(method, path): getattr(client, method)(f"/v2/{path}") for method, path in REFUSALS}
    assert {place: (response.status_code, response.json()["error"]) for place, response in given.items()} == REFUSALS
    assert {response["Content-Type"] for response in given.values()} == {"application/json"}


def test_without_public_predictions_only_health_is_open(
    client: ApiClient, registered: dict[str, RegisteredModel], settings: Settings, owner: User
) -> None:
    settings.PUBLIC_PREDICTIONS = False
    assert client.get("/v2/health/live").status_code == client.get("/v2/health/ready").status_code == 200
    for path in ("/v2", "/v2/models/iris", "/v2/models/iris/ready"):
        response = client.get(path)
        assert (response.status_code, list(response.json())) == (401, ["error"])
    assert ApiClient(owner).get("/v2/models/iris").status_code == 200


def test_error_of_ours_shows_nothing_of_itself(
    client: ApiClient, registered: dict[str, RegisteredModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("secret: /home/someone")

    monkeypatch.setattr("predictions.lifecycle.registry.find", fail)
    response = client.get("/v2/models/iris")
    assert (response.status_code, response.json()) == (500, {"error": "Something went wrong here. It has been noted."})
