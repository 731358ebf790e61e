"""Models of the kinds that people bring: registered in one process, served in another, with the right answers."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from predictions.serving.artifacts import repository
from predictions.serving.artifacts.manifest import Manifest
from predictions.serving.engines.loader import Loader
from predictions.serving.engines.opening import Loaded
from predictions.serving.engines.predictor import Outcome, predict
from predictions.serving.registration import CannotRegister
from predictions.serving.schema.signature import Value
from predictions.serving.training import figures
from predictions.serving.training.register import train_and_register
from tests.support.cases import CASES, NAMES, Asked, asked_of
from tests.support.loading import unproved

WIDE = 1200
WIDE_TRAIN = """
import numpy as np
from sklearn.linear_model import Ridge
from predictions.serving.registration import Split, TrainingData

def train():
    x = np.random.default_rng(16).normal(size=(200, 1200))
    y = x[:, 0]
    return TrainingData(Ridge().fit(x[:150], y[:150]), Split(x[:150], y[:150]), Split(x[150:], y[150:]))
"""
MANY_CLASSES_TRAIN = """
import numpy as np
from sklearn.tree import DecisionTreeClassifier
from predictions.serving.registration import Split, TrainingData

def train():
    x = np.tile(np.arange(400.0), 3).reshape(-1, 1)
    y = np.array([f"class {int(n):03}" for n in x[:, 0]])
    tree = DecisionTreeClassifier().fit(x[:800], y[:800])
    return TrainingData(tree, Split(x[:800], y[:800]), Split(x[800:], y[800:]))
"""


def loaded(root: Path, name: str, *, use_compiled: bool = True) -> Loaded:
    manifest = repository.manifest(root, name, 1)
    return Loader(root, 10**12, use_compiled=use_compiled).get(name, 1, manifest.sha256)


def is_right(outcome: Outcome, asked: Asked, tolerance: float) -> bool:
    assert outcome.output is not None, outcome.error
    return asked.is_answered_by(outcome.output, tolerance)


@pytest.mark.parametrize("use_compiled", [True, False], ids=["compiled", "own"])
@pytest.mark.parametrize("name", NAMES)
def test_case_answers_rightly_alone_and_in_company(registered_cases: Path, name: str, use_compiled: bool) -> None:
    version = loaded(registered_cases, name, use_compiled=use_compiled)
    asked = asked_of(name)
    rows = [version.manifest.signature.clean(line.features) for line in asked]
    compiled = version.manifest.compiled if use_compiled else None
    tolerance = max(1e-9, compiled.tolerance if compiled else 0.0)
    alone = [predict(version, [row])[0] for row in rows]
    among = predict(version, [*version.manifest.golden.rows, *rows])[-len(rows) :]
    reverse = predict(version, [*rows, *version.manifest.golden.rows][::-1])[::-1][: len(rows)]
    for outcomes in (alone, among, reverse):
        assert [is_right(outcome, line, tolerance) for outcome, line in zip(outcomes, asked, strict=True)] == [
            True
        ] * len(asked)


def test_caller_who_leaves_a_whole_number_out_changes_no_answer_beside(registered_cases: Path) -> None:
    version = loaded(registered_cases, "codes")
    rows: list[list[Value]] = [[10115, 0.0], [None, 0.0], [20095, 0.0], [None, 0.5]]
    outputs = [outcome.output["value"] for outcome in predict(version, rows) if outcome.output]
    alone = [predict(version, [row])[0].output["value"] for row in rows]  # type: ignore[index]
    assert outputs == pytest.approx(alone, abs=1e-9)
    assert outputs[0] == pytest.approx(1000.0)


def test_version_that_looks_at_the_whole_batch_says_so(registered_cases: Path) -> None:
    manifest = repository.manifest(registered_cases, "batch-mean", 1)
    assert (manifest.batching, manifest.compiled) == (False, None)
    assert "each row is predicted by a call of its own" in manifest.remarks[0]


def test_module_beside_train_py_belongs_to_the_version(registered_cases: Path) -> None:
    manifest = repository.manifest(registered_cases, "own-module", 1)
    assert list(manifest.code) == ["squares.py"]
    stored = registered_cases / "own-module/versions/1/code/squares.py"
    stored.chmod(0o644)
    before = stored.read_bytes()
    try:
        stored.write_bytes(before + b"\nraise SystemExit\n")
        with pytest.raises(Exception, match=r"The module squares\.py has SHA-256"):
            _refuse(loaded, registered_cases, "own-module")
    finally:
        stored.write_bytes(before)
    assert "squares" not in sys.modules


def _refuse(open_case: Any, root: Path, name: str) -> None:
    from predictions.serving.schema.errors import ModelUnavailable

    try:
        open_case(root, name)
    except ModelUnavailable as error:
        raise AssertionError(error.reason) from None


def folder(root: Path, train: str, features: str, task: str = "regression") -> Path:
    home = root / "made"
    home.mkdir()
    (home / "train.py").write_text(train)
    (home / "model.toml").write_text(
        f'title = "Made"\nsummary = "Made for a test."\ntask = "{task}"\n[target]\nname = "y"\n{features}'
    )
    return root


def made(root: Path, train: str, features: str, task: str = "regression") -> Manifest:
    return train_and_register(folder(root, train, features, task), "made", unproved)


def test_twelve_hundred_features_are_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "IMPORTANCE_SECONDS", 600.0)
    features = "".join(f'[[features]]\nkind = "number"\nname = "f{n}"\n' for n in range(WIDE))
    manifest = made(tmp_path, WIDE_TRAIN, features)
    outcomes = predict(loaded(tmp_path, "made"), [[float(n % 3) for n in range(WIDE)]])
    assert (len(manifest.input_schema.columns), outcomes[0].error) == (WIDE, None)
    assert manifest.figures.importances is not None
    assert len(manifest.figures.importances) == WIDE


def test_four_hundred_classes_are_served(tmp_path: Path) -> None:
    made(tmp_path, MANY_CLASSES_TRAIN, '[[features]]\nkind = "number"\nname = "a"\n', "classification")
    (outcome,) = predict(loaded(tmp_path, "made"), [[123.0]])
    assert outcome.output is not None
    assert (outcome.output["label"], len(outcome.output["probabilities"])) == ("class 123", 400)


# --- Refusals ---------------------------------------------------------------------------------------------------------
HEAD = "import numpy as np\nfrom predictions.serving.registration import Split, TrainingData\n"
AB = '[[features]]\nkind = "number"\nname = "a"\n[[features]]\nkind = "number"\nname = "b"\n'
DATA = "x = np.random.default_rng(0).normal(size=(60, 2))\ny = x[:, 0] + 1\n"
RETURN = "def train():\n    return TrainingData(e.fit(x[:40], y[:40]), Split(x[:40], y[:40]), Split(x[40:], y[40:]))\n"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("def train(:\n", r"train\.py failed in line 3: SyntaxError"),
        ("def train():\n    raise KeyError('price')\n", r"train\.py failed in line 4: KeyError: 'price'\.$"),
        ("import sys\nsys.exit(3)\n", r"train\.py failed in line 4: SystemExit: 3\.$"),
        ("def train():\n    return 7\n", r"train\(\) must return TrainingData.*; it returned a int\.$"),
        ("from nowhere import x\n", r"train\.py failed in line 3: ModuleNotFoundError: No module named 'nowhere'\.$"),
        (
            "from sklearn.cluster import KMeans\n" + DATA + "e = KMeans(3, n_init=1)\n" + RETURN,
            r'task = "regression", and KMeans is made for clusters: write task = "clusters"\.$',
        ),
        (
            "from sklearn.ensemble import IsolationForest\n" + DATA + "e = IsolationForest(n_estimators=5)\n" + RETURN,
            r'and IsolationForest is made for outliers: write task = "outliers"\.$',
        ),
        (
            "from sklearn.cluster import DBSCAN\n" + DATA + "e = DBSCAN()\n" + RETURN,
            r"DBSCAN has no predict\(\): it cannot answer rows that it was not fitted on\.$",
        ),
        (
            "from sklearn.linear_model import LinearRegression\n" + DATA + "y = x\ne = LinearRegression()\n" + RETURN,
            r"targets of shape \(40, 2\)\. The estimator predicts several targets: name each of them",
        ),
        (
            "from sklearn.linear_model import LinearRegression\n"
            + DATA
            + "e = LinearRegression()\ny[45] = np.nan\n"
            + RETURN,
            r"The target of row 6 of the held-out data is nan: it must be a finite number\.$",
        ),
        (
            "from sklearn.linear_model import LinearRegression\n"
            + DATA
            + "e = LinearRegression()\nx[47, 1] = np.nan\n"
            + RETURN,
            r"Row 8 of the held-out data does not fit model\.toml: b: Please fill this in\.$",
        ),
        (
            "from tests.support.estimators import Dice\n" + DATA + "e = Dice()\n" + RETURN,
            r"The estimator gives two answers to the same row .*: fix its random_state\.$",
        ),
        (
            "import pandas as pd\nfrom sklearn.linear_model import LinearRegression\n"
            "x = pd.DataFrame(np.eye(60, 3), columns=['a', 'b', 'zz'])\n"
            "y = np.ones(60)\ne = LinearRegression()\n" + RETURN,
            r"The estimator takes 3 features, model\.toml describes 2\.$",
        ),
    ],
)
def test_train_file_that_cannot_be_served_is_refused_in_one_sentence(tmp_path: Path, body: str, sentence: str) -> None:
    with pytest.raises(CannotRegister, match=sentence) as caught:
        made(tmp_path, HEAD + body, AB)
    assert "\n" not in str(caught.value)


def test_held_out_data_in_other_types_names_row_column_and_both_answers(tmp_path: Path) -> None:
    body = HEAD + (
        "import pandas as pd\n"
        "from tests.support.estimators import Widths\n"
        "x = pd.DataFrame({'a': np.arange(60), 'b': np.ones(60)})\ny = np.ones(60)\ne = Widths()\n"
        "def train():\n"
        "    e.fit(x, y)\n"
        "    return TrainingData(e, Split(x[:40], y[:40]), Split(x[40:].astype({'a': float}), y[40:]))\n"
    )
    sentence = r"Row 1 of the held-out data, column a \(40\.0 became 40\): the estimator answers 4\.0, and 2\.0 when"
    with pytest.raises(CannotRegister, match=sentence):
        made(tmp_path, body, AB)


def test_module_that_a_worker_cannot_import_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(CASES / "own-module/squares.py", tmp_path / "elsewhere/faraway.py")
    body = (CASES / "own-module/train.py").read_text().replace("pathlib.Path(__file__).parent", "'ELSEWHERE'")
    train = body.replace("ELSEWHERE", str(tmp_path / "elsewhere")).replace("from squares", "from faraway")
    folder(tmp_path, train, AB)
    try:
        with pytest.raises(CannotRegister, match=r"A worker could not serve it: .*No module named 'faraway'"):
            train_and_register(tmp_path, "made")
    finally:
        sys.modules.pop("faraway", None)
    assert repository.manifests(tmp_path, "made") == []


def test_estimator_that_needs_another_configuration_is_refused(tmp_path: Path) -> None:
    body = HEAD + (
        "import pandas as pd, sklearn\n"
        "sklearn.set_config(transform_output='pandas')\n"
        "from sklearn.preprocessing import StandardScaler, FunctionTransformer\n"
        "from sklearn.pipeline import make_pipeline\n"
        "from sklearn.linear_model import LinearRegression\n"
        "from tests.support.estimators import first_column\n"
        "x = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=['a', 'b'])\ny = x['a']\n"
        "e = make_pipeline(StandardScaler(), FunctionTransformer(first_column), LinearRegression())\n" + RETURN
    )
    folder(tmp_path, body, AB)
    with pytest.raises(CannotRegister, match=r"A worker could not serve it: .*default configuration\.$"):
        train_and_register(tmp_path, "made")
