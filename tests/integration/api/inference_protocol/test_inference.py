"""Requests and responses with tensors. Every row is stored as a prediction like any other."""

import gzip
import json
import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django.fixtures import Settings

from predictions.models import ModelVersion, Prediction, RegisteredModel, State
from predictions.queue import completions, notifications
from tests.integration.api.inference_protocol.conftest import Infer
from tests.integration.conftest import make, statements
from tests.support.api_client import ApiClient

pytestmark = pytest.mark.usefixtures("registered", "worker")

FLOWERS = [[5.1, 3.5, 1.4, 0.2], [6.3, 2.8, 5.1, 1.5], [7.7, 2.6, 6.9, 2.3]]
NAMES = ["setosa", "versicolor", "virginica"]
FLAT = [value for flower in FLOWERS for value in flower]
INPUT = ("input", [3, 4], "FP64", FLAT)
COLUMNS = [
    (name, [3], "FP64", [flower[place] for flower in FLOWERS])
    for place, name in enumerate(["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"])
]
KINDS = {
    "long side": ([2, 1], "FP64", [1.5, 20.0]),
    "count": ([2, 1], "INT64", [2, 3]),
    "colour": ([2, 1], "BYTES", ["r", "g"]),
    "ripe": ([2, 1], "BOOL", [True, False]),
}


def answers() -> list[str]:
    """The labels of the stored predictions, in the order of submission."""
    return [row.output["label"] for row in Prediction.objects.order_by("created_at", "id")]


# --- Forms of a request -----------------------------------------------------------------------------------------------
def test_rows_are_answered_in_their_order(infer: Infer) -> None:
    response = infer("iris", INPUT, id="mine")
    assert response.status_code == 200
    assert response.json() == {
        "model_name": "iris",
        "model_version": "1",
        "id": "mine",
        "outputs": [{"name": "predict", "shape": [3, 1], "datatype": "BYTES", "data": answers()}],
    }
    assert answers()[0] == "setosa"
    assert len(set(answers())) > 1


@pytest.mark.parametrize(
    "tensors",
    [
        [("any name", [3, 4], "FP64", FLOWERS)],
        [("input", [3, 4], "FP32", FLAT)],
        [("input", [3, 4], "FP64", FLAT)],
        COLUMNS,
        COLUMNS[::-1],
        [(name, [3, 1], datatype, [[value] for value in data]) for name, _, datatype, data in COLUMNS],
    ],
    ids=["nested", "FP32", "flat", "columns", "columns in another order", "columns of one"],
)
def test_every_form_of_the_same_rows_gives_the_same(infer: Infer, tensors: list[Any]) -> None:
    given = infer("iris", *tensors).json()["outputs"][0]["data"]
    assert given == infer("iris", INPUT).json()["outputs"][0]["data"]


def test_whole_numbers_are_numbers(infer: Infer) -> None:
    response = infer("iris", ("input", [1, 4], "INT32", [5, 3, 1, 0]))
    assert response.json()["outputs"][0]["data"] == ["setosa"]


def test_pandas_request_is_read_by_columns(infer: Infer) -> None:
    response = infer("iris", *COLUMNS, parameters={"content_type": "pd"})
    assert response.json()["outputs"][0]["data"] == answers()


def test_each_kind_of_feature_has_its_datatype(infer: Infer, kinds: RegisteredModel) -> None:
    tensors = [(name, *rest) for name, rest in KINDS.items()]
    response = infer("kinds", *tensors, ("note", [2, 1], "BYTES", ["fine", None]))
    assert response.json()["outputs"] == [{"name": "predict", "shape": [2, 1], "datatype": "FP64", "data": [3.5, 23.0]}]
    assert [row.values for row in Prediction.objects.order_by("created_at", "id")] == [
        [1.5, 2, "r", True, "fine", None],
        [20.0, 3, "g", False, None, None],
    ]


def test_statements_do_not_grow_with_the_rows(infer: Infer) -> None:
    """The request with the fewest statements counts: others may have to read again what is cached for a second."""
    infer("iris", INPUT)

    def fewest(rows: int) -> int:
        counts = []
        for _ in range(3):
            with statements() as made:
                assert infer("iris", ("input", [rows, 4], "FP64", FLOWERS[0] * rows)).status_code == 200
            counts.append(len(made))
        return min(counts)

    assert fewest(1) == fewest(40)


# --- Outputs and names ------------------------------------------------------------------------------------------------
def test_probabilities_come_when_they_are_asked_for(infer: Infer) -> None:
    response = infer("iris", INPUT, outputs=[{"name": "predict_proba"}])
    (output,) = response.json()["outputs"]
    assert (output["name"], output["shape"], output["datatype"]) == ("predict_proba", [3, 3], "FP64")
    assert output["parameters"] == {f"class_{place}": name for place, name in enumerate(NAMES)}
    kept = [row.output["probabilities"] for row in Prediction.objects.order_by("created_at", "id")]
    assert output["data"] == [shares[name] for shares in kept for name in NAMES]


def test_outputs_come_in_the_order_of_asking(infer: Infer) -> None:
    response = infer("iris", INPUT, outputs=[{"name": "predict_proba"}, {"name": "predict"}])
    assert [output["name"] for output in response.json()["outputs"]] == ["predict_proba", "predict"]


def test_sureness_comes_when_it_is_asked_for(infer: Infer) -> None:
    names = ["id", "prediction_set", "grade", "advice"]
    said = infer("iris", INPUT, outputs=[{"name": name} for name in names]).json()["outputs"]
    assert [output["name"] for output in said] == names
    rows = {str(row.pk): row for row in Prediction.objects.all()}
    for place, found in enumerate(said[0]["data"]):
        assert json.loads(said[1]["data"][place]) == rows[found].output["prediction_set"]
        assert said[2]["data"][place] == (rows[found].output["grade"] or "")
        assert isinstance(json.loads(said[3]["data"][place]), list)


def test_interval_of_a_regression_comes_when_it_is_asked_for(infer: Infer, kinds: RegisteredModel) -> None:
    tensors = [(name, *tensor) for name, tensor in KINDS.items()]
    [said] = infer("kinds", *tensors, outputs=[{"name": "interval"}]).json()["outputs"]
    assert (said["datatype"], said["shape"]) == ("FP64", [2, 2])
    kept = [row.output["interval"] or [None, None] for row in Prediction.objects.order_by("created_at", "id")]
    assert said["data"] == [bound for interval in kept for bound in interval]
    assert infer("kinds", *tensors, outputs=[{"name": "prediction_set"}]).status_code == 400


@pytest.mark.django_db(transaction=True)
def test_same_key_gives_the_same_predictions(infer: Infer) -> None:
    ids = {
        tuple(
            infer("iris", INPUT, outputs=[{"name": "id"}], headers={"Idempotency-Key": "k"}).json()["outputs"][0][
                "data"
            ]
        )
        for _ in range(3)
    }
    assert len(ids) == 1
    assert Prediction.objects.count() == 3


def test_cancel_after_sets_the_deadline(infer: Infer) -> None:
    assert infer("iris", INPUT, headers={"Cancel-After": "90s"}).status_code == 200
    row = Prediction.objects.first()
    assert row
    assert (row.deadline_at - row.created_at).total_seconds() == 90
    assert infer("iris", INPUT, headers={"Cancel-After": "soon"}).status_code == 400


def test_bf16_is_refused_in_words(infer: Infer) -> None:
    response = infer("iris", ("input", [1, 4], "BF16", [1, 1, 1, 1]))
    assert (response.status_code, "send FP32" in response.json()["error"]) == (400, True)


def test_request_without_an_id_is_given_one(infer: Infer) -> None:
    assert uuid.UUID(infer("iris", INPUT).json()["id"])


def test_version_of_the_path_answers(infer: Infer, second_iris: ModelVersion) -> None:
    first = infer("iris", INPUT, path="versions/1/infer").json()
    second = infer("iris", INPUT, path="versions/2/infer").json()
    assert (first["model_version"], second["model_version"]) == ("1", "2")
    translated = dict(zip(NAMES, ["one", "two", "three"], strict=True))
    assert second["outputs"][0]["data"] == [translated[label] for label in first["outputs"][0]["data"]]
    assert infer("iris", INPUT).json()["model_version"] == "1"


def test_rows_belong_to_the_caller(infer: Infer, client: ApiClient, owner: User) -> None:
    client.authenticate(owner)
    infer("iris", INPUT)
    assert {(row.owner, row.caller) for row in Prediction.objects.all()} == {(owner, f"user:{owner.pk}")}


def test_body_needs_no_content_type(client: ApiClient) -> None:
    tensor = dict(zip(("name", "shape", "datatype", "data"), INPUT, strict=True))
    body = json.dumps({"inputs": [tensor]})
    response = client.generic("POST", "/v2/models/iris/infer", body, content_type="")
    assert response.status_code == 200


# --- Refusals: nothing is kept ----------------------------------------------------------------------------------------
def test_bad_tensor_is_refused_with_its_place(infer: Infer) -> None:
    response = infer("iris", ("input", [1, 4], "FP64", [5.1, 3.5, 1.4, -2]))
    sentence = "Tensor 'input', feature 'petal width (cm)', row 0: Must be at least 0 (cm)."
    assert (response.status_code, response.json()) == (400, {"error": sentence})
    assert not Prediction.objects.exists()


@pytest.mark.parametrize(
    ("outputs", "sentence"),
    [
        (
            [{"name": "transform"}],
            "There is no output 'transform'; this model has predict, predict_proba, id, prediction_set, grade, advice.",
        ),
        ([{"name": "predict"}] * 2, "An output is named twice."),
    ],
)
def test_outputs_that_are_not_there_are_refused(infer: Infer, outputs: list[Any], sentence: str) -> None:
    response = infer("iris", INPUT, outputs=outputs)
    assert (response.status_code, response.json()) == (400, {"error": sentence})
    assert not Prediction.objects.exists()


def test_regression_has_no_probabilities(infer: Infer) -> None:
    row = ("input", [1, 10], "FP64", [59, 2, 32.1, 101, 157, 93.2, 38, 4, 4.8598, 87])
    response = infer("diabetes", row, outputs=[{"name": "predict_proba"}])
    assert response.json() == {
        "error": "There is no output 'predict_proba'; this model has predict, id, interval, grade, advice."
    }


@pytest.mark.parametrize(
    ("headers", "content_type", "status"),
    [
        ({"Content-Encoding": "br"}, "application/json", 415),
        ({}, "application/x-www-form-urlencoded", 415),
        ({}, "application/json", 400),
    ],
)
def test_compressed_or_foreign_body_is_refused(
    client: ApiClient, headers: dict[str, str], content_type: str, status: int
) -> None:
    body = gzip.compress(json.dumps({"inputs": []}).encode())
    response = client.post("/v2/models/iris/infer", body, content_type=content_type, headers=headers)
    assert (response.status_code, list(response.json())) == (status, ["error"])


def test_too_large_a_body_is_refused(client: ApiClient, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    response = client.post("/v2/models/iris/infer", {"inputs": []}, content_type="application/json")
    assert (response.status_code, response.json()) == (413, {"error": "The body is too large."})


# --- Not now, not in time, not at all ---------------------------------------------------------------------------------
def test_wait_takes_no_thread(infer: Infer, settings: Settings) -> None:
    settings.WAITERS_MAX = 0
    assert infer("iris", INPUT).status_code == 200


def test_full_queue_takes_all_rows_or_none(infer: Infer, settings: Settings) -> None:
    settings.MAX_QUEUED = settings.MAX_QUEUED_PER_CALLER = 3
    make(ModelVersion.objects.get(registered_model__name="iris"))
    response = infer("iris", INPUT)
    assert (response.status_code, list(response.json())) == (503, ["error"])
    assert response["Retry-After"]
    assert Prediction.objects.count() == 1


def test_rows_that_can_never_fit_are_refused_with_the_limit(infer: Infer, settings: Settings) -> None:
    settings.MAX_QUEUED_PER_CALLER = 2
    response = infer("iris", INPUT)
    assert (response.status_code, "2 rows at most" in response.json()["error"]) == (400, True)


def test_fast_caller_is_slowed(infer: Infer, settings: Settings) -> None:
    settings.SUBMIT_RATE = "3/hour"
    assert infer("iris", INPUT).status_code == 200
    response = infer("iris", INPUT)
    assert (response.status_code, list(response.json())) == (429, ["error"])
    assert int(response["Retry-After"]) > 0


def test_version_that_does_not_serve_accepts_nothing(infer: Infer, second_iris: ModelVersion) -> None:
    ModelVersion.objects.mark_unavailable(second_iris.pk, "secret: /home")
    response = infer("iris", INPUT, path="versions/2/infer")
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert "secret" not in response.content.decode()
    assert infer("iris", INPUT).status_code == 200
    assert Prediction.objects.count() == 3


def test_what_is_not_finished_in_time_can_be_read_later(
    infer: Infer, client: ApiClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "notify", lambda lane: True)
    settings.WAIT_MAX = 0.1
    response = infer("iris", INPUT)
    ids = list(Prediction.objects.order_by("created_at", "id").values_list("pk", flat=True))
    body = response.json()
    assert response.status_code == 504
    assert body["error"].startswith("Not finished within 0.1 s. The work goes on")
    assert sorted(body["predictions"]) == sorted(f"http://testserver/api/v1/predictions/{one}/" for one in ids)
    assert client.get(response["Location"]).json()["status"] == "queued"


def test_row_without_an_answer_is_named(infer: Infer, kinds: RegisteredModel) -> None:
    tensors = {**KINDS, "long side": ([2, 1], "FP64", [1.5, 13.0])}
    response = infer("kinds", *[(name, *rest) for name, rest in tensors.items()])
    assert (response.status_code, response.json()) == (
        500,
        {
            "error": "Row 1 has no answer: The model could not give an answer for these values."
            " Check them, or try other values."
        },
    )
    assert [row.state for row in Prediction.objects.order_by("created_at", "id")] == [State.SUCCEEDED, State.FAILED]


def test_canceled_rows_are_named(infer: Infer, monkeypatch: pytest.MonkeyPatch) -> None:
    def cancel(lane: str) -> None:
        ids = list(Prediction.objects.values_list("pk", flat=True))
        Prediction.objects.all().cancel()
        completions.announce(ids)

    monkeypatch.setattr(notifications, "notify", cancel)
    response = infer("iris", INPUT)
    assert response.status_code == 409
    assert response.json() == {"error": "Row 0 has no answer: It was canceled. 2 more failed."}
