"""The formats in which estimators are brought: each is served with the answers of the estimator that was saved."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import numpy as np
import pytest
from django.core.management import CommandError
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble import BaggingClassifier, IsolationForest, StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from predictions.serving.artifacts import repository
from predictions.serving.importing import readers
from predictions.serving.importing.code import Code
from tests.integration.importing.conftest import answer
from tests.support.brought import CASES, Case, table
from tests.support.commands import run

# The newest operators that ONNX Runtime runs.
OPSETS = {"": 18, "ai.onnx.ml": 3}
TOLERANCE = 1e-5  # ONNX computes in single precision

Save = Callable[[Any, Path], Path]


def skops(estimator: Any, folder: Path) -> Path:
    import skops.io

    skops.io.dump(estimator, folder / "m.skops")
    return folder / "m.skops"


def xgboost_json(estimator: Any, folder: Path) -> Path:
    estimator.save_model(folder / "m.json")
    return folder / "m.json"


def xgboost_ubj(estimator: Any, folder: Path) -> Path:
    estimator.save_model(folder / "m.ubj")
    return folder / "m.ubj"


def lightgbm_text(estimator: Any, folder: Path) -> Path:
    estimator.booster_.save_model(folder / "m.txt")
    return folder / "m.txt"


def catboost_cbm(estimator: Any, folder: Path) -> Path:
    estimator.save_model(str(folder / "m.cbm"))
    return folder / "m.cbm"


def pickled(estimator: Any, folder: Path) -> Path:
    joblib.dump(estimator, folder / "m.pkl.gz", compress=3)
    return folder / "m.pkl.gz"


def cloudpickled(estimator: Any, folder: Path) -> Path:
    (folder / "m.cloudpickle").write_bytes(cloudpickle.dumps(estimator))
    return folder / "m.cloudpickle"


def mlflow_of_sklearn(estimator: Any, folder: Path) -> Path:
    return mlflow(
        folder, cloudpickled(estimator, folder), "sklearn", "pickled_model", serialization_format="cloudpickle"
    )


def mlflow_of_xgboost(estimator: Any, folder: Path) -> Path:
    return mlflow(folder, xgboost_ubj(estimator, folder), "xgboost", "data")


def mlflow(folder: Path, file: Path, flavor: str, member: str, **more: str) -> Path:
    home = folder / "model"
    home.mkdir()
    file.rename(home / file.name)
    (home / "MLmodel").write_text(json.dumps({"flavors": {flavor: {member: file.name, **more}, "python_function": {}}}))
    return home


FORMATS: list[tuple[str, Save]] = [
    ("mixed_with_missing_values", skops),
    ("mixed_with_missing_values", pickled),
    ("mixed_with_missing_values", mlflow_of_sklearn),
    ("stacking", cloudpickled),
    ("xgboost_with_categories", xgboost_json),
    ("xgboost_with_categories", xgboost_ubj),
    ("xgboost_with_categories", mlflow_of_xgboost),
    ("lightgbm_with_categories", lightgbm_text),
    ("catboost_with_categories", catboost_cbm),
    ("lightgbm_without_names", lightgbm_text),
    ("catboost_without_names", catboost_cbm),
]


def register(case: Case, path: Path, folder: Path) -> str:
    case.frame.to_csv(folder / "d.csv", index=False)
    words = ["--data", str(folder / "d.csv"), *(["--target", case.target] if case.target else [])]
    return run("register_model", str(path), "--name", "mine", *words)


def check(case: Case, models: Path) -> None:
    names = repository.describe(models, "mine").signature.names
    rows = case.frame[list(names)].head(6).astype(object)
    for place, row in enumerate(json.loads(rows.to_json(orient="records"))):
        output = answer(row)
        if output["kind"] == "regression":
            own = float(np.ravel(case.estimator.predict(case.x[place : place + 1]))[0])
            assert output["value"] == pytest.approx(own, abs=TOLERANCE)
        else:
            shares = case.estimator.predict_proba(case.x[place : place + 1])[0].tolist()
            assert list(output["probabilities"].values()) == pytest.approx(shares, abs=TOLERANCE)


@pytest.mark.parametrize(("name", "save"), FORMATS, ids=[f"{save.__name__}-{name}" for name, save in FORMATS])
def test_format_is_served_with_the_answers_of_what_was_saved(
    models: Path, quick: None, tmp_path: Path, name: str, save: Save
) -> None:
    case = CASES[name]()
    register(case, save(case.estimator, tmp_path), tmp_path)
    check(case, models)


def test_untrusted_types_of_skops_are_listed(models: Path, quick: None, tmp_path: Path) -> None:
    case = CASES["mixed_with_missing_values"]()
    said = register(case, skops(case.estimator, tmp_path), tmp_path)
    assert "1 types that skops does not trust: numpy.dtype" in said


# --- ONNX -------------------------------------------------------------------------------------------------------------
def line() -> Case:
    frame = table()[["weight", "count", "ill"]]
    x = frame[["weight", "count"]].to_numpy(np.float32)
    return Case(LogisticRegression().fit(x, frame["ill"]), x, frame, "ill")


def columns() -> Case:
    frame = table()[["city", "weight", "price"]]
    steps = make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough")
    x = frame[["city", "weight"]]
    return Case(make_pipeline(steps, Ridge()).fit(x, frame["price"]), x, frame, "price")


@pytest.mark.parametrize("zipmap", [True, False], ids=["dictionaries", "tensor"])
def test_onnx_graph_of_one_table_is_served(models: Path, quick: None, tmp_path: Path, zipmap: bool) -> None:
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    case = line()
    types = [("x", FloatTensorType([None, 2]))]
    options = {id(case.estimator): {"zipmap": zipmap}}
    graph = to_onnx(case.estimator, initial_types=types, options=options, target_opset=OPSETS)
    (tmp_path / "m.onnx").write_bytes(graph.SerializeToString())
    register(case, tmp_path / "m.onnx", tmp_path)
    check(case, models)


def test_onnx_graph_with_named_inputs_is_served(models: Path, quick: None, tmp_path: Path) -> None:
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    case = columns()
    types = [("city", StringTensorType([None, 1])), ("weight", FloatTensorType([None, 1]))]
    graph = to_onnx(case.estimator, initial_types=types, target_opset=OPSETS)
    (tmp_path / "m.onnx").write_bytes(graph.SerializeToString())
    register(case, tmp_path / "m.onnx", tmp_path)
    check(case, models)


def numbers(target: str) -> tuple[Any, Any]:
    frame = table()
    return frame[["weight", "count"]].to_numpy(np.float32), frame[target]


def with_table(estimator: Any, folder: Path, **options: Any) -> Path:
    """The graph of an estimator of two numbers."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    types = [("x", FloatTensorType([None, 2]))]
    graph = to_onnx(estimator, initial_types=types, options={id(estimator): options}, target_opset=OPSETS)
    (folder / "m.onnx").write_bytes(graph.SerializeToString())
    return folder / "m.onnx"


MEMBERS = [("line", make_pipeline(StandardScaler(), LogisticRegression())), ("bayes", GaussianNB())]
TABLE_OF_CLASSES = [
    KNeighborsClassifier(3),
    GaussianNB(),
    MLPClassifier((4,), max_iter=300, random_state=0, solver="lbfgs"),
    QuadraticDiscriminantAnalysis(),
    make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss", random_state=0)),
    CalibratedClassifierCV(GaussianNB(), cv=3),
    BaggingClassifier(GaussianNB(), 3, random_state=0),
    OneVsRestClassifier(LogisticRegression(max_iter=500)),
    VotingClassifier(MEMBERS, voting="soft", flatten_transform=False),
    StackingClassifier(MEMBERS, cv=3),
]


@pytest.mark.parametrize("target", ["ill", "code"])
@pytest.mark.parametrize("estimator", TABLE_OF_CLASSES, ids=lambda one: type(one).__name__)
def test_classes_of_an_onnx_graph_are_those_of_its_label(tmp_path: Path, estimator: Any, target: str) -> None:
    """Many graphs keep the classes in a table, and ensembles have the classes of their members beside their own."""
    own = clone(estimator).fit(*numbers(target))
    brought = readers.read(with_table(own, tmp_path, zipmap=False), ".onnx", Code()).estimator
    assert brought.classes_.tolist() == own.classes_.tolist()
    x = numbers(target)[0]
    assert (brought.predict(x) == own.predict(x)).mean() > 0.95  # equal distances and single precision
    assert brought.predict_proba(x).shape == (len(x), len(own.classes_))


def test_onnx_graph_of_clusters_is_served(models: Path, quick: None, tmp_path: Path) -> None:
    frame, x = table()[["weight", "count"]], numbers("ill")[0]
    own = KMeans(3, n_init=1, random_state=0).fit(x)
    register(Case(own, x, frame, None), with_table(own, tmp_path), tmp_path)
    given = [answer(row)["label"] for row in frame.head(6).astype(object).to_dict("records")]
    assert given == [f"cluster {label}" for label in own.predict(x[:6])]


def test_onnx_graph_of_an_outlier_detector_is_served(models: Path, quick: None, tmp_path: Path) -> None:
    frame, x = table()[["weight", "count"]], numbers("ill")[0]
    own = IsolationForest(n_estimators=10, random_state=0).fit(x)
    register(Case(own, x, frame, None), with_table(own, tmp_path), tmp_path)
    given = [answer(row)["label"] for row in frame.head(12).astype(object).to_dict("records")]
    assert given == ["usual" if label == 1 else "unusual" for label in own.predict(x[:12])]
    assert len(set(given)) == 2


# --- MLflow -----------------------------------------------------------------------------------------------------------
def test_example_of_an_mlflow_model_stands_in_for_data(models: Path, quick: None, tmp_path: Path) -> None:
    case = CASES["mixed_with_missing_values"]()
    home = mlflow_of_sklearn(case.estimator, tmp_path)
    described = json.loads((home / "MLmodel").read_text())
    described["saved_input_example_info"] = {"artifact_path": "example.json", "type": "dataframe"}
    (home / "MLmodel").write_text(json.dumps(described))
    (home / "example.json").write_text(case.x.head(3).to_json(orient="split", index=False))
    run("register_model", str(home), "--name", "mine")
    check(case, models)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("flavors: [", r"MLmodel cannot be read: it is no YAML with `flavors`"),
        ("flavors: {spacy: {}}", r"has the flavors spacy; one of sklearn, xgboost, lightgbm, catboost, onnx is read"),
        (
            "flavors: {sklearn: {pickled_model: ../../etc/passwd}}",
            r"which is not in the folder: bring the whole folder",
        ),
    ],
)
def test_mlflow_folder_that_cannot_be_read_is_refused(
    models: Path, tmp_path: Path, content: str, sentence: str
) -> None:
    (tmp_path / "MLmodel").write_text(content)
    with pytest.raises(CommandError, match=sentence):
        run("register_model", str(tmp_path), "--name", "mine")


@pytest.mark.parametrize("suffix", ["skops", "json", "ubj", "txt", "cbm", "onnx"])
def test_damaged_file_of_each_format_is_refused_in_one_sentence(models: Path, tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"m.{suffix}").write_bytes(b"nothing of this kind")
    with pytest.raises(CommandError, match=r"cannot be read as a file of \w+: ") as caught:
        run("register_model", str(tmp_path / f"m.{suffix}"), "--name", "mine")
    assert "\n" not in str(caught.value)
