"""register_model: what it writes and prints, later versions, dry runs, and code that comes along."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import numpy as np
import pandas as pd
import pytest
from django.core.management import CommandError
from django.test import Client
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from predictions.models import ModelVersion, Prediction, RegisteredModel
from predictions.serving.artifacts import repository
from tests.integration.importing.conftest import Bring
from tests.support.api_client import ApiClient
from tests.support.brought import CASES, table
from tests.support.commands import run

Module = Callable[[str, str], Path]


def answer(name: str, features: Any) -> dict[str, Any]:
    response = ApiClient().post(f"/api/v1/models/{name}/predictions/", json.dumps({"features": features}))
    assert response.status_code in (200, 202), response.content
    row = Prediction.objects.get(pk=response.json()["id"])
    assert row.output, row.error_code
    return row.output


# --- What is written and printed --------------------------------------------------------------------------------------
def test_decisions_are_printed_as_a_table_and_doubts_name_their_line(bring: Bring, models: Path) -> None:
    frame = table()[["weight", "ill"]].assign(zip=np.arange(10115, 10235), city=["Ulm", "Bonn"] * 60)
    x = frame[["weight", "zip"]]
    said = bring(LogisticRegression().fit(x, frame["ill"]), frame, "ill")

    lines = said.splitlines()
    assert [line.split()[:2] for line in lines if line.startswith("  ") and not line.startswith("  -")] == [
        ["column", "kind"], ["weight", "number"], ["zip", "integer"],
    ]  # fmt: skip
    toml = models / "mine/model.toml"
    (doubt,) = (line for line in lines if "`zip`" in line)
    number = int(doubt.rpartition("line ")[2].rstrip("."))
    assert doubt.startswith("  - `zip` differs in every row")
    assert toml.read_text().splitlines()[number - 1 : number + 2][2] == 'name = "zip"'
    assert any("does not read city: left out" in line for line in lines)


def test_drafted_card_has_measured_facts_and_marked_places(bring: Bring, models: Path, tmp_path: Path) -> None:
    frame = table()[["weight", "count", "price"]]
    frame.iloc[80:].to_csv(tmp_path / "later.csv", index=False)
    seen = frame.iloc[:80]
    model = Ridge().fit(seen[["weight", "count"]], seen["price"])
    said = bring(model, seen, "price", "--held-out", str(tmp_path / "later.csv"), "--title", "Prices")

    card = (models / "mine/CARD.md").read_text()
    manifest = repository.manifest(models, "mine", 1)
    assert card.startswith("# Prices\n")
    assert card.count("*To be written by a person:*") == 3
    assert f"- r2: {manifest.metrics['r2']:.4g}" in card
    assert "Measured on 40 held-out rows" in card
    assert "mine version 1: r2" in said
    assert answer("mine", {"weight": 0.5, "count": 3})["interval"] is not None


def test_examples_of_the_form_are_no_rows_of_the_data(bring: Bring, models: Path) -> None:
    case = CASES["mixed_with_missing_values"]()
    bring(case.estimator, case.frame, case.target)
    described = repository.describe(models, "mine")
    assert [example.title for example in described.examples] == ["Typical", "Typical no", "Typical yes"]
    rows = case.frame[list(described.signature.names)].to_dict("records")
    assert [example for example in described.examples if dict(example.values) in rows] == []


@pytest.mark.parametrize("name", ["mean radius", 'a "quoted" name', "é=[x]", "a\tb", "csrfmiddlewaretoken"])
def test_column_of_any_name_is_asked_by_that_name(bring: Bring, name: str, client: Client) -> None:
    frame = table()[["weight", "count", "price"]].rename(columns={"weight": name})
    bring(Ridge().fit(frame[[name, "count"]], frame["price"]), frame, "price")
    assert client.get("/models/mine/").status_code == 200
    assert answer("mine", {name: 0.5, "count": 2})["kind"] == "regression"


def test_categories_that_look_like_numbers_or_gaps_stay_texts(bring: Bring) -> None:
    from sklearn.preprocessing import OneHotEncoder

    frame = pd.DataFrame({"plz": ["01067", "10115", "NA"] * 20, "price": np.arange(60.0) % 3})
    model = make_pipeline(OneHotEncoder(), Ridge(alpha=1e-6)).fit(frame[["plz"]], frame["price"])
    bring(model, frame, "price")
    assert [round(answer("mine", {"plz": plz})["value"], 3) for plz in ("01067", "10115", "NA")] == [0.0, 1.0, 2.0]


def test_classes_of_a_label_encoder_get_the_names_of_the_data(bring: Bring) -> None:
    frame = table()[["weight", "ill"]]
    codes = (frame["ill"] == "yes").astype(int)
    said = bring(LogisticRegression().fit(frame[["weight"]], codes), frame, "ill")
    assert "named as a LabelEncoder sorts them: right?" in said
    assert list(answer("mine", {"weight": 0.2})["probabilities"]) == ["no", "yes"]


@pytest.mark.parametrize("classes", [["None", "mild", "severe"], ["NA", "DE", "FR"], ["00", "01", "02"]])
def test_classes_that_look_like_gaps_or_numbers_stay_texts(bring: Bring, classes: list[str]) -> None:
    frame = pd.DataFrame({"a": np.repeat([1.0, 5.0, 9.0], 40), "t": np.repeat(classes, 40)})
    bring(LogisticRegression().fit(frame[["a"]], frame["t"]), frame, "t")
    assert answer("mine", {"a": 0.5})["label"] == classes[0]


def test_whole_number_that_json_does_not_hold_is_refused_with_its_line(bring: Bring) -> None:
    frame = pd.DataFrame({"id": 2**60 + np.arange(60), "price": np.arange(60.0) % 3})
    frame.loc[0, "id"] = 7
    with pytest.raises(CommandError, match=r"line 3: column .id. is 1152921504606846977, and JSON is not exact"):
        bring(Ridge().fit(frame[["id"]], frame["price"]), frame, "price")


def test_marker_of_an_imputer_makes_no_feature_optional(bring: Bring) -> None:
    from sklearn.impute import SimpleImputer

    frame = pd.DataFrame({"a": [-1.0, 1.0, 2.0] * 20, "price": np.arange(60.0) % 3})
    model = make_pipeline(SimpleImputer(missing_values=-1), Ridge()).fit(frame[["a"]], frame["price"])
    bring(model, frame, "price")
    response = ApiClient().post("/api/v1/models/mine/predictions/", json.dumps({"features": {}}))
    assert (response.status_code, response.json()["errors"][0]["code"]) == (422, "missing")
    assert answer("mine", {"a": -1})["value"] == pytest.approx(float(model.predict(pd.DataFrame({"a": [-1.0]}))[0]))


def test_unseen_category_is_refused_by_name(bring: Bring) -> None:
    case = CASES["catboost_with_categories"]()
    bring(case.estimator, case.frame, case.target)
    body = {"features": {"mean radius": 14.0, "weight": 0.5, "count": 3, "city": "Rome", "grade": "a"}}
    response = ApiClient().post("/api/v1/models/mine/predictions/", json.dumps(body))
    assert response.status_code == 422
    (problem,) = response.json()["errors"]
    assert (problem["pointer"], problem["code"]) == ("/features/city", "unknown_choice")


def test_estimator_alone_is_served_with_numbers(models: Path, quick: None, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(40, 2))
    joblib.dump(Ridge().fit(x, x[:, 0]), tmp_path / "mine.joblib")
    run("register_model", str(tmp_path / "mine.joblib"), "--name", "mine")
    assert answer("mine", [1.0, 0.0])["value"] == pytest.approx(float(Ridge().fit(x, x[:, 0]).predict([[1.0, 0.0]])[0]))


# --- Versions ---------------------------------------------------------------------------------------------------------
def test_second_version_keeps_the_description_and_waits_for_promotion(bring: Bring, models: Path) -> None:
    frame = table()[["weight", "price"]]
    bring(Ridge().fit(frame[["weight"]], frame["price"]), frame, "price")
    toml = models / "mine/model.toml"
    toml.write_text(toml.read_text().replace('label = "Weight"', 'label = "Weight of the fruit"'))

    said = bring(Ridge(alpha=9).fit(frame[["weight"]], frame["price"]), frame, "price")

    assert "It serves after: manage.py promote mine 2" in said
    assert 'label = "Weight of the fruit"' in toml.read_text()
    assert RegisteredModel.objects.get(name="mine").champion.number == 1  # type: ignore[union-attr]
    assert ModelVersion.objects.filter(registered_model__name="mine").count() == 2


def test_serve_registers_the_same_files_once_and_promotes_others(bring: Bring) -> None:
    frame = table()[["weight", "price"]]
    first = Ridge().fit(frame[["weight"]], frame["price"])
    bring(first, frame, "price", "--serve")
    assert bring(first, frame, "price", "--serve") == "mine version 1 was made from these files: nothing to do.\n"
    said = bring(Ridge(alpha=9).fit(frame[["weight"]], frame["price"]), frame, "price", "--serve")
    assert "mine v2 serves." in said


def test_dry_run_prints_and_keeps_nothing(bring: Bring, models: Path) -> None:
    frame = table()[["weight", "price"]]
    said = bring(Ridge().fit(frame[["weight"]], frame["price"]), frame, "price", "--dry-run")
    assert "weight  number" in said
    assert said.endswith("Nothing was kept: this was a dry run.\n")
    assert not (models / "mine").exists()
    assert not RegisteredModel.objects.filter(name="mine").exists()


def test_refused_registration_leaves_nothing_behind(bring: Bring, models: Path) -> None:
    frame = table()[["weight", "price"]]
    before = sorted(models.iterdir())
    with pytest.raises(CommandError, match="two answers to the same row"):
        bring(_dice(frame), frame, "price")
    assert sorted(models.iterdir()) == before


def _dice(frame: pd.DataFrame) -> Any:
    from tests.support.estimators import Dice

    return Dice().fit(frame[["weight"]], frame["price"])


# --- Code that comes along --------------------------------------------------------------------------------------------
@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Module:
    """Writes a module and lets this process import it, as the notebook that fits an estimator does."""

    def write(name: str, source: str) -> Path:
        folder = tmp_path / f"code-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        (folder / f"{name}.py").write_text(source)
        monkeypatch.syspath_prepend(str(folder))
        return folder / f"{name}.py"

    return write


def steps(factor: int) -> str:
    return f"def scaled(x):\n    return x * {factor}\n"


def fitted_with(module_name: str, frame: pd.DataFrame) -> Any:
    scaled = __import__(module_name).scaled
    return make_pipeline(FunctionTransformer(scaled), Ridge(alpha=1e-9)).fit(frame[["weight"]], frame["price"])


def dumped(estimator: Any, path: Path, module_name: str) -> Path:
    """Dump the estimator, and make this process one that has not imported the module. Returns the path of the file."""
    joblib.dump(estimator, path)
    sys.modules.pop(module_name)
    sys.path.pop(0)
    return path


def test_module_of_the_estimator_comes_along_by_hash(models: Path, quick: None, module: Module, tmp_path: Path) -> None:
    frame = table()[["weight", "price"]]
    frame.to_csv(tmp_path / "mine.csv", index=False)
    source = module("brought_steps", steps(3))
    estimator = fitted_with("brought_steps", frame)
    expected = float(estimator.predict(frame.head(1)[["weight"]])[0])
    file = dumped(estimator, tmp_path / "mine.joblib", "brought_steps")
    words = ["register_model", str(file), "--name", "mine", "--data", str(tmp_path / "mine.csv"), "--target", "price"]

    with pytest.raises(CommandError, match=r"needs the module brought_steps, .* --code brought_steps\.py"):
        run(*words)
    run(*words, "--code", str(source))

    assert list(repository.manifest(models, "mine", 1).code) == ["brought_steps.py"]
    assert "brought_steps" not in sys.modules
    weight = float(frame["weight"][0])
    assert answer("mine", {"weight": weight})["value"] == pytest.approx(expected)
    # A second version may bring another module of the same name.
    other = module("brought_steps", steps(5))
    second = fitted_with("brought_steps", frame)
    dumped(second, tmp_path / "mine.joblib", "brought_steps")
    run(*words, "--code", str(other), "--serve")
    assert (models / "mine/versions/1/code/brought_steps.py").read_text() == steps(3)
    assert (models / "mine/versions/2/code/brought_steps.py").read_text() == steps(5)
    assert answer("mine", {"weight": weight})["value"] == pytest.approx(expected)


def test_function_of_the_notebook_is_found_in_the_module_that_comes_along(
    models: Path, quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = table()[["weight", "price"]]
    frame.to_csv(tmp_path / "mine.csv", index=False)
    main = sys.modules["__main__"]
    exec(compile(steps(2), "notebook", "exec"), scope := {"__name__": "__main__"})
    monkeypatch.setattr(main, "scaled", scope["scaled"], raising=False)
    joblib.dump(
        make_pipeline(FunctionTransformer(scope["scaled"]), Ridge()).fit(frame[["weight"]], frame["price"]),
        tmp_path / "mine.joblib",
    )
    monkeypatch.delattr(main, "scaled")
    words = ["register_model", str(tmp_path / "mine.joblib"), "--name", "mine", "--data", str(tmp_path / "mine.csv")]

    with pytest.raises(CommandError, match=r"needs scaled, which was defined in the script or notebook .* --code"):
        run(*words)
    (tmp_path / "my_steps.py").write_text(steps(2))
    run(*words, "--code", str(tmp_path / "my_steps.py"))
    assert answer("mine", {"weight": 0.5})["kind"] == "regression"
    assert not hasattr(main, "scaled")


def test_lambda_of_a_cloudpickle_is_served(models: Path, quick: None, tmp_path: Path) -> None:
    frame = table()[["weight", "price"]]
    frame.to_csv(tmp_path / "mine.csv", index=False)
    model = make_pipeline(FunctionTransformer(lambda x: x * 2), Ridge()).fit(frame[["weight"]], frame["price"])
    (tmp_path / "mine.pkl").write_bytes(cloudpickle.dumps(model))
    run("register_model", str(tmp_path / "mine.pkl"), "--name", "mine", "--data", str(tmp_path / "mine.csv"))
    expected = float(model.predict(frame[["weight"]].head(1))[0])
    assert answer("mine", {"weight": float(frame["weight"][0])})["value"] == pytest.approx(expected)
