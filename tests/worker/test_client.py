"""The client package with the real processes."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from foretell_client import AsyncClient, Classification, Client, NoAnswer, NotFinished, Refused, Regression
from foretell_client.command_line import main

from tests.support.stack import Stack

IRIS = [5.1, 3.5, 1.4, 0.2]


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    with Client(f"http://127.0.0.1:{stack.env['PORT']}") as client:
        yield client


def test_models_are_listed(client: Client) -> None:
    models = {model.name: (model.task, model.version) for model in client.models()}
    assert (models["iris"], models["diabetes"]) == (("classification", 1), ("regression", 1))


@pytest.mark.parametrize("wait", [0, 5])
def test_predict_returns_a_classification(client: Client, wait: float) -> None:
    prediction = client.predict("iris", np.array(IRIS), wait=wait)
    assert isinstance(prediction.output, Classification)
    assert (prediction.status, prediction.output.label) == ("succeeded", "setosa")
    assert client.result(prediction.id) == prediction


def test_predict_returns_a_regression_with_its_interval(client: Client) -> None:
    features = {"age": 59, "sex": 2, "bmi": 32.1, "bp": 101, "s1": 157, "s2": 93.2, "s3": 38, "s4": 4, "s5": 4.8598}
    prediction = client.predict("diabetes", {**features, "s6": 125})
    assert isinstance(prediction.output, Regression)
    assert prediction.output.interval is not None
    low, high = prediction.output.interval
    assert low < prediction.output.value < high
    assert [advice.code for advice in prediction.advice] == ["above_training_range"]


def test_refused_names_each_invalid_value(client: Client) -> None:
    with pytest.raises(Refused) as refused:
        client.predict("iris", [5.1, -3, "x", 0.2])
    assert (refused.value.status, refused.value.code) == (422, "invalid_input")
    assert [(p.pointer, p.code) for p in refused.value.problems] == [
        ("/features/1", "below_minimum"),
        ("/features/2", "wrong_type"),
    ]


def test_unknown_model_is_refused(client: Client) -> None:
    with pytest.raises(Refused) as refused:
        client.predict("nothing", IRIS)
    assert refused.value.status == 404


def test_failed_prediction_raises_its_error(client: Client) -> None:
    with pytest.raises(NoAnswer) as failed:
        client.predict("probe", {"x": 1_000_001, "seconds": 0})
    assert (failed.value.code, failed.value.prediction.status) == ("model_error", "failed")


def test_unfinished_prediction_can_be_canceled(client: Client) -> None:
    with pytest.raises(NotFinished) as unfinished:
        client.predict("probe", {"x": 1, "seconds": 3}, wait=0, within=0.3)
    prediction = unfinished.value.prediction
    assert client.cancel(prediction.id).status == "canceled"
    with pytest.raises(Refused) as refused:
        client.cancel(client.predict("iris", IRIS).id)
    assert (refused.value.status, refused.value.code) == (409, "not_cancelable")


def test_same_idempotency_key_returns_the_same_prediction(client: Client) -> None:
    first = client.submit("iris", IRIS, idempotency_key="mine")
    assert client.submit("iris", IRIS, idempotency_key="mine").id == first.id
    with pytest.raises(Refused) as refused:
        client.submit("iris", [1, 2, 3, 4], idempotency_key="mine")
    assert refused.value.code == "idempotency_key_reused"


def test_rows_of_a_frame_are_predicted_in_order(client: Client) -> None:
    names = list((client.model("iris").signature or {})["properties"])
    found = client.predict_rows("iris", pd.DataFrame([IRIS, [6.7, 3.1, 5.6, 2.4]], columns=names))
    assert [one.output and one.output.label for one in found] == ["setosa", "virginica"]  # type: ignore[union-attr]


def test_feedback_list_and_removal(client: Client) -> None:
    prediction = client.predict("iris", IRIS)
    assert client.give_feedback(prediction.id, actual="setosa").actual == "setosa"
    assert prediction.id in [one.id for one in client.predictions(model="iris", status="succeeded")]
    client.remove(prediction.id)
    with pytest.raises(Refused):
        client.result(prediction.id)


def test_coroutines_predict(stack: Stack) -> None:
    async def ask() -> list[str]:
        async with AsyncClient(f"http://127.0.0.1:{stack.env['PORT']}") as client:
            return [one.status for one in await asyncio.gather(*[client.predict("iris", IRIS) for _ in range(20)])]

    assert asyncio.run(ask()) == ["succeeded"] * 20


def test_command_line_predicts(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    server = ["--server", f"http://127.0.0.1:{stack.env['PORT']}"]
    row = ["--sepal-length", "5.1", "--sepal-width", "3.5", "--petal-length", "1.4", "--petal-width", "0.2"]
    assert main([*server, "predict", "iris", *row]) == 0
    assert capsys.readouterr().out.startswith("setosa (")
    assert main([*server, "models"]) == 0
    assert "iris\tclassification" in capsys.readouterr().out
    row[1] = "-1"
    assert main([*server, "predict", "iris", *row]) == 1
    assert "/features/sepal length (cm)" in capsys.readouterr().err


def iris_frame() -> pd.DataFrame:
    from sklearn.datasets import load_iris

    return load_iris(as_frame=True).data.sample(frac=1, random_state=0)


def test_frame_is_answered_by_a_job_as_row_by_row(client: Client) -> None:
    frame = iris_frame()
    frame.iloc[3, 0] = np.nan
    found = client.predict("iris", frame)
    assert found.index.equals(frame.index)
    assert found["error"].notna().tolist() == [place == 3 for place in range(len(frame))]
    for place in (0, 50, 149):
        alone = client.predict("iris", dict(frame.iloc[place])).output
        assert isinstance(alone, Classification)
        assert found["prediction"].iloc[place] == alone.label
        assert found[f"probability_{alone.label}"].iloc[place] == (alone.probabilities or {})[alone.label]


def test_coroutines_predict_a_frame(stack: Stack) -> None:
    async def ask() -> pd.DataFrame:
        async with AsyncClient(f"http://127.0.0.1:{stack.env['PORT']}") as client:
            return await client.predict("iris", iris_frame())

    assert asyncio.run(ask())["prediction"].value_counts().sum() == 150


def test_command_line_scores_a_file(stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = ["--server", f"http://127.0.0.1:{stack.env['PORT']}"]
    frame = iris_frame().astype(object)
    frame.iloc[7, 2] = "wide"
    frame.to_csv(tmp_path / "rows.csv", index=False)
    output, errors = tmp_path / "out.parquet", tmp_path / "bad.csv"
    asked = ["score", "iris", str(tmp_path / "rows.csv"), "-o", str(output), "--errors", str(errors)]
    assert main([*server, *asked]) == 0
    assert "150 rows: 149 scored, 1 with errors." in capsys.readouterr().err
    assert pd.read_parquet(output)["prediction"].notna().sum() == 149
    assert pd.read_csv(errors)["line"].tolist() == [9]


def test_command_line_names_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "iris", "no-such.csv", "-o", "out.csv"]) == 1
    assert "no-such.csv: No such file or directory" in capsys.readouterr().err
