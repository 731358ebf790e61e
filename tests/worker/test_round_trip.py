"""Predictions from the API to the worker and back, with the real processes."""

from pathlib import Path

import joblib
import pytest

from project.celery import app as celery_app
from tests.support.stack import Stack
from tests.support.waiting import wait_until

FLOWER = {"sepal length (cm)": 6.3, "sepal width (cm)": 2.8, "petal length (cm)": 5.1, "petal width (cm)": 1.5}


def test_prediction_equals_that_of_the_estimator(stack: Stack) -> None:
    prediction_id = stack.submit("iris", FLOWER)
    wait_until(lambda: stack.get(prediction_id)["status"] == "succeeded", 30, "the prediction has succeeded")

    estimator = joblib.load(stack.models / "iris/versions/1/estimator.joblib")
    row = [list(FLOWER.values())]
    names = ["setosa", "versicolor", "virginica"]
    output = stack.get(prediction_id)["output"]
    assert output["label"] == names[estimator.predict(row)[0]]
    assert output["probabilities"] == pytest.approx(dict(zip(names, estimator.predict_proba(row)[0], strict=True)))


def test_prefer_wait_returns_the_result(stack: Stack) -> None:
    response = stack.post("probe", {"x": 20, "seconds": 0}, Prefer="wait=10")
    assert (response.status_code, response.headers["Preference-Applied"]) == (200, "wait=10")
    assert response.json()["output"]["value"] == 41


def test_queued_rows_are_claimed_together(stack: Stack) -> None:
    stack.freeze("worker")
    ids = [stack.submit("probe", {"x": number, "seconds": 0}) for number in range(50)]
    stack["worker"].thaw()
    rows = stack.wait_for_end(ids, 30)
    assert {row["state"] for row in rows} == {"succeeded"}
    # At most two: a process that was waiting when it was frozen may claim the first row alone.
    assert len({row["claim"] for row in rows}) <= 2


def test_row_with_an_error_fails_alone(stack: Stack) -> None:
    stack.freeze("worker")
    numbers = [0, 1, 2, 1_000_001, 3, 4]
    ids = [stack.submit("probe", {"x": number, "seconds": 0}) for number in numbers]
    stack["worker"].thaw()
    stack.wait_for_end(ids, 30)
    answers = [stack.get(prediction_id) for prediction_id in ids]
    assert [a["output"] and a["output"]["value"] for a in answers] == [1, 3, 5, None, 7, 9]
    assert [a["error"] and a["error"]["code"] for a in answers] == [None, None, None, "model_error", None, None]


def test_duplicate_notifications_have_no_effect(stack: Stack) -> None:
    stack.freeze("worker")
    prediction_id = stack.submit("probe", {"x": 7, "seconds": 0})
    with celery_app.connection_for_write(stack.redis_url.replace("unix://", "redis+socket://")) as connection:
        for _ in range(5):
            celery_app.send_task("predictions.drain", ["interactive"], queue="interactive", connection=connection)
    stack["worker"].thaw()
    stack.wait_for_end([prediction_id], 30)
    answered = stack.rows([prediction_id])
    wait_until(stack.is_idle, 30, "all messages are processed")
    assert stack.rows([prediction_id]) == answered
    assert [(row["state"], row["attempts"]) for row in answered] == [("succeeded", 1)]


def test_result_of_a_canceled_running_prediction_is_discarded(stack: Stack) -> None:
    prediction_id = stack.submit("probe", {"x": 7, "seconds": 3})
    stack.wait_for_state(prediction_id, "running", 30)
    response = stack.client.post(f"/api/v1/predictions/{prediction_id}/cancel/")
    assert (response.status_code, response.json()["status"]) == (200, "canceled")

    with stack.redis.pubsub(ignore_subscribe_messages=True) as channel:
        channel.subscribe("foretell:settled")
        hex_id = prediction_id.replace("-", "")
        wait_until(
            lambda: (message := channel.get_message(timeout=1)) and hex_id in message["data"].decode(),
            30,
            "the worker has settled its claim",
        )
    answer = stack.get(prediction_id)
    assert (answer["status"], answer["output"], answer["error"]) == ("canceled", None, None)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("damaged", "The artefact has SHA-256"),
        ("other-library", "Trained with scikit-learn 0.1"),
        ("other-answers", "The golden rows are not reproduced here."),
    ],
)
def test_version_that_differs_from_its_registration_does_not_serve(stack: Stack, name: str, reason: str) -> None:
    found = stack.query(
        "SELECT v.unavailable_reason AS reason FROM predictions_modelversion v"
        f" JOIN predictions_registeredmodel m ON m.id = v.registered_model_id WHERE m.name = '{name}'"
    )
    assert [row["reason"][: len(reason)] for row in found] == [reason]
    response = stack.post(name, FLOWER)
    assert (response.status_code, response.json()["code"]) == (503, "model_unavailable")
    assert stack.client.get(f"/api/v1/models/{name}/").json()["version"] is None


def test_second_prepare_changes_nothing(stack: Stack) -> None:
    def modified() -> dict[Path, int]:
        static, versions = stack.var_dir.glob("staticfiles/*.json"), stack.models.glob("*/versions/*/*")
        return {path: path.stat().st_mtime_ns for path in [*static, *versions]}

    before = modified()
    assert stack.manage("prepare") == ""
    assert modified() == before
