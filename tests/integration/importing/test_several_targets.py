"""A version with several targets: pages, downloads, files, feedback and explanations say each answer by its name."""

import csv
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from django.contrib.auth.models import User
from django.core.management.base import CommandError
from django.test import Client
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression

from predictions.api.mcp import sentences
from predictions.batches.progress import progress
from predictions.maintenance import webhooks
from predictions.models import Feedback, ModelVersion, Prediction
from predictions.use_cases.callers import key_of
from predictions.use_cases.export import export
from predictions.web.formatting import number_text
from predictions.web.forms import written
from predictions.web.history import csv_lines
from tests.integration.importing.conftest import Bring
from tests.support.api_client import ApiClient
from tests.support.commands import run
from tests.support.files import bad_rows, correct, score, text

RANDOM = np.random.default_rng(3)
X = pd.DataFrame(RANDOM.normal(size=(300, 3)).round(4), columns=["a", "b", "c"])
NUMBERS = pd.DataFrame({"height": 2 * X["a"] + 170, "width": X["b"] - X["c"] + RANDOM.normal(0, 0.1, 300)}).round(4)
CLASSES = pd.DataFrame(
    {
        "colour": np.where(X["a"] > 0, "red", "blue"),
        "size": np.where(X["b"] + RANDOM.normal(0, 0.5, 300) > 0, "big", "small"),
    }
)
TRAINING, HELD_OUT = slice(0, 200), slice(200, 300)


@pytest.fixture
def numbers(bring: Bring, tmp_path: Path) -> ModelVersion:
    return brought(bring, tmp_path, LinearRegression(), NUMBERS)


@pytest.fixture
def classes(bring: Bring, tmp_path: Path) -> ModelVersion:
    return brought(bring, tmp_path, RandomForestClassifier(15, random_state=0), CLASSES)


def brought(bring: Bring, folder: Path, estimator: Any, targets: pd.DataFrame) -> ModelVersion:
    """Fit and register an estimator, with held-out rows."""
    frame = X.join(targets)
    frame[HELD_OUT].to_csv(folder / "held_out.csv", index=False)
    estimator.fit(X[TRAINING], targets[TRAINING])
    bring(estimator, frame[TRAINING], ",".join(targets), "--held-out", str(folder / "held_out.csv"))
    return ModelVersion.objects.get(registered_model__name="mine")


def asked(client: Client, version: ModelVersion) -> str:
    """Submit a row by the form. Returns the address of its prediction, which is answered at once."""
    values = {name: float(X.loc[0, name]) for name in X}
    address: str = client.post("/models/mine/predictions/", written(version.signature, values))["Location"]
    return address


def shown(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


# --- Numbers ----------------------------------------------------------------------------------------------------------
def test_each_number_is_shown_with_its_name_and_interval(numbers: ModelVersion, client: Client) -> None:
    page = shown(client, asked(client, numbers))

    output = Prediction.objects.get().output or {}
    assert output["kind"] == "multi"
    assert list(numbers.parts(output)) == ["height", "width"]
    low, high = output["outputs"]["width"]["interval"]
    assert low < output["outputs"]["width"]["value"] < high
    assert "Height:</span>" in page
    assert "Width:</span>" in page
    assert page.count("<p>The true value lies between") == 2


def test_interval_of_each_target_holds_as_often_as_it_says(numbers: ModelVersion) -> None:
    rows = X[HELD_OUT].to_dict("records")
    found = ApiClient().post("/api/v1/models/mine/predictions/", json.dumps({"rows": rows[:50]})).json()["results"]
    outputs = [Prediction.objects.get(pk=one["id"]).output or {} for one in found]
    truth = NUMBERS["width"][HELD_OUT].tolist()[:50]
    intervals = [output["outputs"]["width"]["interval"] for output in outputs]
    assert sum(low <= true <= high for (low, high), true in zip(intervals, truth, strict=True)) >= 42


def test_rows_far_away_are_outside_for_every_target(numbers: ModelVersion, client: Client) -> None:
    address = client.post("/models/mine/predictions/", {"a": "1e6", "b": "-1e6", "c": "1e6"})["Location"]

    outputs = (Prediction.objects.get().output or {})["outputs"]
    assert [(one["grade"], one["interval"]) for one in outputs.values()] == [("outside", None)] * 2
    assert shown(client, address).count("</strong> Do not rely on this answer") == 1


def test_quality_is_shown_for_each_target(numbers: ModelVersion, client: Client) -> None:
    for address in ("/models/mine/", "/models/mine/card/"):
        page = shown(client, address)
        assert "<h3>height</h3>" in page
        assert page.count("typical error in 100 cases it had not seen") == 2
    assert "height: Typical error" in shown(client, "/models/mine/versions/")
    assert "width:" in shown(client, "/")


# --- Classes ----------------------------------------------------------------------------------------------------------
def test_each_class_has_its_own_grade_and_evidence(classes: ModelVersion, client: Client) -> None:
    page = shown(client, asked(client, classes))

    outputs = (Prediction.objects.get().output or {})["outputs"]
    for one in outputs.values():
        assert one["grade"] in ("clear", "uncertain")
        assert one["grade_evidence"]["of"] <= 100
    evidence = outputs["size"]["grade_evidence"]
    assert f"right in {evidence['right']} of {evidence['of']} cases it had not seen" in page


def test_file_has_the_columns_of_each_target(classes: ModelVersion, tmp_path: Path) -> None:
    X[:20].to_csv(tmp_path / "rows.csv", index=False)
    run("score", "mine", str(tmp_path / "rows.csv"), "-o", str(tmp_path / "out.csv"))

    lines = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    own = RandomForestClassifier(15, random_state=0).fit(X[TRAINING], CLASSES[TRAINING]).predict(X[:20])
    assert [[line["prediction_colour"], line["prediction_size"]] for line in lines] == own.astype(str).tolist()
    assert [*lines[0]] == [
        "a", "b", "c",
        "prediction_colour", "probability_colour_blue", "probability_colour_red", "prediction_set_colour",
        "grade_colour",
        "prediction_size", "probability_size_big", "probability_size_small", "prediction_set_size", "grade_size",
        "advice", "error",
    ]  # fmt: skip


def test_columns_of_targets_that_would_have_one_name_are_kept_apart(bring: Bring, tmp_path: Path) -> None:
    """The set of `t` and the answer for `set_t` would both be `prediction_set_t`."""
    targets = NUMBERS.set_axis(["t", "set_t"], axis=1)
    estimator = LinearRegression().fit(X[:200], targets[:200])
    bring(estimator, X.join(targets)[:200], "t,set_t")
    X[:20].to_csv(tmp_path / "rows.csv", index=False)

    for suffix in ("csv", "parquet"):
        run("score", "mine", str(tmp_path / "rows.csv"), "-o", str(tmp_path / f"out.{suffix}"))
    found = pd.read_csv(tmp_path / "out.csv")
    answers = estimator.predict(X[:20])
    assert np.allclose(found["prediction_t"], answers[:, 0])
    assert np.allclose(found["prediction_set_t_"], answers[:, 1])
    assert found["prediction_set_t"].isna().all()
    table = pd.read_parquet(tmp_path / "out.parquet")
    assert [*table.columns] == [*found.columns]
    assert np.allclose(table["prediction_set_t_"], answers[:, 1])


def test_page_of_a_file_draws_the_answers_of_each_target(classes: ModelVersion, client: Client) -> None:
    rows = X[:30].astype(str).to_numpy().tolist()
    rows[4][0] = "far"
    job = score(classes.registered_model, text(rows, list(X)))
    own = RandomForestClassifier(15, random_state=0).fit(X[TRAINING], CLASSES[TRAINING]).predict(X[:30].drop(index=4))
    page = shown(client, f"/batches/{job.pk}/")
    for target, labels in (("colour", own[:, 0]), ("size", own[:, 1])):
        part = page.partition(f'<ul class="bars" aria-label="Answers for {target}">')[2].partition("</ul>")[0]
        drawn = re.findall(r'bar-label">(\w+)</span> <span class="bar-percent">(\d+)', part)
        assert {label: int(count) for label, count in drawn} == dict(Counter(labels))


def test_histogram_counts_a_correction_of_each_target(numbers: ModelVersion) -> None:
    rows = X[:30].astype(str).to_numpy().tolist()
    rows[4][0] = "far"
    job = score(numbers.registered_model, text(rows, list(X)))
    [bad] = bad_rows(job)
    correct(job, text([["0.5", bad["b"], bad["c"], bad["line"]]], [*X, "line"]))
    found = progress(job, with_summary=True).histogram["targets"]
    assert {name: sum(one["counts"]) for name, one in found.items()} == {"height": 30, "width": 30}


def test_one_prediction_as_csv_has_the_columns_of_each_target(classes: ModelVersion, client: Client) -> None:
    lines = list(csv.DictReader(shown_lines(client, f"{asked(client, classes)}csv/")))
    output = (Prediction.objects.get().output or {})["outputs"]
    assert lines[0]["prediction_colour"] == output["colour"]["label"]
    assert float(lines[0]["probability_size_big"]) == output["size"]["probabilities"]["big"]


def shown_lines(client: Client, address: str) -> list[str]:
    return client.get(address).content.decode().splitlines()


def test_feedback_names_the_targets_that_are_known(classes: ModelVersion) -> None:
    api = ApiClient()
    body = json.dumps({"features": {name: float(X.loc[0, name]) for name in X}})
    address = f"/api/v1/predictions/{api.post('/api/v1/models/mine/predictions/', body).json()['id']}/feedback/"

    assert api.post(address, json.dumps({"actual": {"size": "big"}})).json()["actual"] == {"size": "big"}
    for actual, pointer in (("red", "/actual"), ({"weight": 1}, "/actual"), ({"size": 7}, "/actual/size")):
        refused = api.post(address, json.dumps({"actual": actual}))
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["pointer"] == pointer


def test_answer_that_was_right_is_exported_as_the_truth_of_each_class(classes: ModelVersion) -> None:
    api = ApiClient()
    body = json.dumps({"features": {name: float(X.loc[0, name]) for name in X}})
    answered = api.post("/api/v1/models/mine/predictions/", body).json()["id"]
    api.post(f"/api/v1/predictions/{answered}/feedback/", json.dumps({"was_right": True}))

    lines = list(csv.DictReader(run("export_labels", "mine").splitlines()))
    outputs = (Prediction.objects.get().output or {})["outputs"]
    assert [(lines[0]["colour"], lines[0]["size"])] == [(outputs["colour"]["label"], outputs["size"]["label"])]


# --- The order of the targets -----------------------------------------------------------------------------------------
def as_postgresql_stores(row: Prediction) -> Prediction:
    """Store the answers in the order in which PostgreSQL returns them: the shorter name, "width", comes first."""
    outputs = (row.output or {})["outputs"]
    row.output = {"kind": "multi", "outputs": {name: outputs[name] for name in ("width", "height")}}
    row.save(update_fields=["output"])
    return row


def test_comparison_shows_each_answer_under_its_own_name(numbers: ModelVersion, client: Client) -> None:
    for _ in range(2):
        asked(client, numbers)
    rows = [as_postgresql_stores(row) for row in Prediction.objects.all()]

    page = shown(client, f"/predictions/compare/?id={rows[0].pk}&id={rows[1].pk}")

    outputs = (rows[0].output or {})["outputs"]
    for name, label in (("height", "Height: Answer"), ("width", "Width: Answer")):
        assert number_text(outputs[name]["value"]) in page.partition(label)[2].partition("</tr>")[0]
    assert page.index("Height: Answer") < page.index("Width: Answer")


def test_programs_are_given_the_targets_in_the_order_of_the_version(numbers: ModelVersion, client: Client) -> None:
    asked(client, numbers)
    row = as_postgresql_stores(Prediction.objects.get())

    body = ApiClient().get(f"/api/v1/predictions/{row.pk}/").json()
    assert list(body["output"]["outputs"]) == ["height", "width"]
    sentence = sentences.of_prediction(row, [])
    assert sentence.index(", height: ") < sentence.index(", width: ")
    [line] = list(csv.DictReader("".join(csv_lines(Prediction.objects.all(), ["a"])).splitlines()))
    assert list(json.loads(line["prediction"])) == ["height", "width"]
    assert list(json.loads(webhooks.body_of(row))["data"]["output"]["outputs"]) == ["height", "width"]

    user = User.objects.create_user("somebody")
    Prediction.objects.update(owner=user, caller=key_of(user))
    [exported] = json.loads("".join(export(user)))["predictions"]
    assert list(exported["output"]["outputs"]) == ["height", "width"]


def test_true_values_are_shown_in_the_order_of_the_version(numbers: ModelVersion, client: Client) -> None:
    address = asked(client, numbers)
    Feedback.objects.create(
        prediction=Prediction.objects.get(), caller=Prediction.objects.get().caller, actual={"width": 1, "height": 170}
    )

    assert "height 170, width 1" in shown(client, address)


def test_rows_of_the_training_data_measure_no_target(bring: Bring, tmp_path: Path) -> None:
    frame = X.join(NUMBERS)[TRAINING]
    frame[:50].to_csv(tmp_path / "seen.csv", index=False)
    estimator = LinearRegression().fit(frame[["a", "b", "c"]], frame[["height", "width"]])

    said = bring(estimator, frame, "height,width", "--held-out", str(tmp_path / "seen.csv"))

    targets = ModelVersion.objects.get(registered_model__name="mine").manifest["targets"]
    assert [one["metrics"] for one in targets] == [{}, {}]
    assert "how good the version is was not measured" in said


def test_estimator_of_another_number_of_targets_is_refused(bring: Bring) -> None:
    estimator = RandomForestClassifier(3, random_state=0).fit(X, CLASSES)
    with pytest.raises(CommandError, match="predicts 2 targets, and --target names 3"):
        bring(estimator, X.join(CLASSES).assign(more=1), "colour,size,more")


def test_target_that_is_empty_is_refused_with_its_line(bring: Bring) -> None:
    frame = X.join(NUMBERS)
    frame.loc[4, "width"] = np.nan
    estimator = LinearRegression().fit(X, NUMBERS)
    with pytest.raises(CommandError, match=r"line 6: 'width' is empty"):
        bring(estimator, frame, "height,width")


# --- The list of predictions ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("query", "is_listed"),
    [
        ("grade=outside", True),
        ("grade=clear", True),
        ("grade=uncertain", False),
        ("q=RED", True),
        ("q=gr%C3%BCn", True),
        ("q=colour", False),
        ("q=blue", False),
    ],
)
def test_search_finds_the_grade_and_the_class_of_any_target(
    classes: ModelVersion, client: Client, query: str, is_listed: bool
) -> None:
    address = asked(client, classes)
    row = Prediction.objects.get()
    parts = (row.output or {})["outputs"]
    parts["colour"] |= {"label": "red", "grade": "clear"}
    parts["size"] |= {"label": "grün", "grade": "outside"}
    Prediction.objects.update(output=row.output)

    assert (address in shown(client, f"/predictions/?{query}")) == is_listed
    assert (str(row.pk) in csv_of_list(client, query)) == is_listed


def csv_of_list(client: Client, query: str) -> str:
    response: Any = client.get(f"/predictions/csv/?{query}")
    return b"".join(response).decode()
