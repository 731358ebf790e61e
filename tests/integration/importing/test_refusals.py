"""What register_model refuses, each in one sentence that names the place and the remedy."""

import gzip
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import pytest
from django.core.management import CommandError
from sklearn.cluster import DBSCAN
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.support.brought import CASES, table
from tests.support.commands import run
from tests.support.estimators import Duck, Wrapped, WrappedClassifier

FRAME = table()[["weight", "count", "ill"]]
MODEL = LogisticRegression().fit(FRAME[["weight", "count"]], FRAME["ill"])
CSV = FRAME.to_csv(index=False)
LINES = CSV.splitlines()

Make = Callable[[Path], None]


def estimator(thing: Any) -> Make:
    return lambda folder: joblib.dump(thing, folder / "m.joblib") and None


def data(text: str) -> Make:
    return lambda folder: (folder / "d.csv").write_bytes(text.encode("latin1")) and None


def changed(line: int, text: str) -> Make:
    return data("\n".join([*LINES[: line - 1], text, *LINES[line:]]) + "\n")


def file(name: str, content: bytes) -> Make:
    return lambda folder: (folder / name).write_bytes(content) and None


def without(name: str) -> Make:
    return lambda folder: (folder / name).unlink()


def numbers_in(folder: Path) -> Any:
    return LogisticRegression().fit(FRAME[["weight", "count"]].to_numpy(), FRAME["ill"])


def old_version(folder: Path) -> None:
    content = pickle.dumps(MODEL).replace(b"1.9.1", b"1.5.9") if b"1.9.1" in pickle.dumps(MODEL) else b""
    (folder / "m.joblib").write_bytes(content)


REFUSALS: list[tuple[str, Make, dict[str, str | None], str]] = [
    ("no file", without("m.joblib"), {}, r"m\.joblib is not there: check the path"),
    (
        "another kind of file",
        lambda f: (f / "m.joblib").rename(f / "m.onnx2"),
        {"path": "m.onnx2"},
        r"of this kind is not read\. Bring \.joblib, .*MLflow",
    ),
    ("a folder", lambda f: (f / "x").mkdir(), {"path": "x"}, r"x is a folder without an MLmodel file"),
    (
        "no pickle",
        file("m.joblib", b"hello"),
        {},
        r"cannot be read as a file of joblib, pickle or cloudpickle .* write it again",
    ),
    ("cut short", file("m.joblib", pickle.dumps(MODEL)[:-40]), {}, r"cannot be read as a file of joblib"),
    ("a damaged gzip", file("m.joblib", gzip.compress(b"x" * 999)[:-9]), {}, r"cannot be read as a file of joblib"),
    (
        "a dictionary",
        estimator({"model": MODEL}),
        {},
        r"holds a dict, not an estimator: store the fitted estimator alone",
    ),
    ("a table", estimator(FRAME), {}, r"holds a pandas.*DataFrame, which has no predict\(\)"),
    ("not fitted", estimator(LogisticRegression()), {}, r"holds a LogisticRegression that is not fitted: call fit\(\)"),
    (
        "not fitted, a class of one's own",
        estimator(Wrapped()),
        {"target": "count"},
        r"fails on row 1 of the training data .*'Wrapped' object has no attribute 'inner'",
    ),
    (
        "a last step that scikit-learn does not know",
        estimator(make_pipeline(StandardScaler(), Duck(Ridge())).fit(FRAME[["weight", "count"]], FRAME["count"])),
        {},
        r"a Pipeline whose last step, Duck, is not fitted, or not so that .*from BaseEstimator, .* such as model_",
    ),
    (
        "a last step that scikit-learn does not take for fitted",
        estimator(make_pipeline(StandardScaler(), Wrapped()).fit(FRAME[["weight", "count"]], FRAME["count"])),
        {},
        r"a Pipeline whose last step, Wrapped, is not fitted, or not so that scikit-learn can tell",
    ),
    (
        "a classifier without classes",
        estimator(WrappedClassifier().fit(FRAME[["weight", "count"]], FRAME["ill"])),
        {},
        r"WrappedClassifier is a classifier without classes_: let fit\(\) set it",
    ),
    ("no predict", estimator(DBSCAN().fit(FRAME[["weight"]])), {}, r"DBSCAN, which has no predict\(\)"),
    ("another scikit-learn", old_version, {}, r"was fitted with scikit-learn 1\.5\.9, and 1\.9\.1 is installed here"),
    (
        "a name with capitals",
        estimator(MODEL),
        {"name": "My Model"},
        r"--name 'My Model': use a-z, .* for example my-model\.$",
    ),
    ("no data file", without("d.csv"), {}, r"d\.csv is not there: check the path of the data"),
    ("an empty file", data(""), {}, r"d\.csv cannot be read as CSV"),
    ("a header alone", data("weight,count,ill\n"), {}, r"d\.csv has no rows below its header"),
    (
        "a name twice in the header",
        data("weight,count,count,ill\n1,2,3,no\n"),
        {},
        r"d\.csv has two columns called 'count': rename one of them",
    ),
    ("no UTF-8", data("weight,count,ill\n1,2,n\xe9\n"), {}, r"byte 22 is not UTF-8: save the file as UTF-8"),
    ("a line too long", changed(5, "1,2,no,4,5"), {}, r"d\.csv cannot be read as CSV: .*line 5"),
    (
        "no such target",
        estimator(MODEL),
        {"target": "il"},
        r"has no column 'il', which --target names; .* Did you mean 'ill'\?",
    ),
    (
        "a feature as target",
        estimator(MODEL),
        {"target": "weight"},
        r"--target weight: the estimator reads this column itself",
    ),
    (
        "a column is missing",
        data(CSV.replace("count", "number")),
        {},
        r"has no column 'count', which the estimator reads",
    ),
    (
        "which target",
        data(LINES[0] + ",x\n" + "".join(f"{line},1\n" for line in LINES[1:])),
        {"target": None},
        r"say with --target which column is predicted: one of ill, x",
    ),
    ("a gap in the target", changed(7, "0.5,3,"), {}, r"d\.csv, line 7: 'ill' is empty \(1 such rows\): fill it"),
    (
        "an unknown class",
        changed(9, "0.5,3,maybe"),
        {},
        r"d\.csv, line 9: 'ill' is 'maybe', a class that the estimator does not know",
    ),
    (
        "a text among numbers",
        changed(11, "0.5,many,no"),
        {},
        r"d\.csv, line 11: column 'count' holds numbers, and 'many' is none: correct it",
    ),
    (
        "a decimal comma",
        changed(12, '"0,5",3,no'),
        {},
        r"d\.csv, line 12: column 'weight' holds numbers, and '0,5' is none: write decimals with a point",
    ),
    (
        "a class with NUL",
        changed(9, "0.5,3,no\0"),
        {},
        r"d\.csv, line 9: column 'ill' has 'no\\x00' with a character that cannot be stored: correct it",
    ),
    (
        "a column with NUL",
        data(CSV.replace("count", "co\0unt")),
        {},
        r"the column 'co\\x00unt' has a character that cannot be stored: rename it",
    ),
    (
        "an empty column",
        data("weight,count,ill\n" + ",1,no\n" * 9),
        {},
        r"Column 'weight' of the data has no value at all",
    ),
    (
        "a gap that it cannot take",
        changed(4, ",3,no"),
        {},
        r"row 3 of the training data \(d\.csv, line 4\): .*NaN.* no value for 'weight': if missing values were filled",
    ),
    (
        "more columns than it takes",
        lambda f: joblib.dump(LogisticRegression().fit(FRAME[["weight"]].to_numpy(), FRAME["ill"]), f / "m.joblib"),
        {},
        r"fitted on 1 columns without names, and .* has 2 beside the target \(weight, count\)",
    ),
    ("no code", estimator(MODEL), {"code": "nowhere.py"}, r"--code .*nowhere\.py: there is no such module"),
    (
        "code of a taken name",
        file("json.py", b""),
        {"code": "json.py"},
        r"a module json is installed already: give yours another name",
    ),
    (
        "held-out rows of other classes",
        file("h.csv", CSV.replace("yes", "oui").encode()),
        {"held_out": "h.csv"},
        r"h\.csv, line \d+: 'ill' is 'oui'",
    ),
    (
        "held-out rows without a column",
        file("h.csv", b"weight,ill\n1,no\n"),
        {"held_out": "h.csv"},
        r"h\.csv has no column 'count'",
    ),
    ("a target without data", estimator(MODEL), {"data": None}, r"--target and --held-out need --data FILE"),
]


@pytest.mark.parametrize(
    ("make", "options", "sentence"), [one[1:] for one in REFUSALS], ids=[one[0] for one in REFUSALS]
)
def test_what_cannot_be_served_is_refused_in_one_sentence(
    models: Path, quick: None, tmp_path: Path, make: Make, options: dict[str, str | None], sentence: str
) -> None:
    joblib.dump(MODEL, tmp_path / "m.joblib")
    (tmp_path / "d.csv").write_text(CSV)
    make(tmp_path)
    chosen = {"path": "m.joblib", "name": "mine", "data": "d.csv", "target": "ill", **options}
    words = [str(tmp_path / str(chosen.pop("path"))), "--name", str(chosen.pop("name"))]
    for option, value in chosen.items():
        path = option in ("data", "held_out", "code")
        words += [f"--{option.replace('_', '-')}", str(tmp_path / value) if path else value] if value else []

    with pytest.raises(CommandError, match=sentence) as caught:
        run("register_model", *words)

    assert "\n" not in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert not (models / "mine").exists()


def test_text_pipeline_beside_two_texts_is_refused(models: Path, quick: None, tmp_path: Path) -> None:
    case = CASES["text"]()
    joblib.dump(case.estimator, tmp_path / "m.joblib")
    case.frame.assign(author="a").to_csv(tmp_path / "d.csv", index=False)
    words = ["--name", "mine", "--data", str(tmp_path / "d.csv"), "--target", "mood"]
    with pytest.raises(
        CommandError, match=r"reads one column of texts, and .* has 2 beside the target \(note, author\)"
    ):
        run("register_model", str(tmp_path / "m.joblib"), *words)


def test_estimator_that_says_no_columns_is_refused_without_data(models: Path, quick: None, tmp_path: Path) -> None:
    joblib.dump(CASES["text"]().estimator, tmp_path / "m.joblib")
    with pytest.raises(CommandError, match=r"does not say which columns it reads: give rows with --data FILE"):
        run("register_model", str(tmp_path / "m.joblib"), "--name", "mine")


def test_folder_without_a_description_is_left_alone(models: Path, quick: None, tmp_path: Path) -> None:
    (models / "mine").mkdir()
    joblib.dump(Ridge().fit([[0.0], [1.0]], [0.0, 1.0]), tmp_path / "m.joblib")
    with pytest.raises(CommandError, match=r"mine is there without a model\.toml: remove it, or choose another --name"):
        run("register_model", str(tmp_path / "m.joblib"), "--name", "mine")
    shutil.rmtree(models / "mine")


@pytest.mark.parametrize("kind", [MultiOutputRegressor, MultiOutputClassifier])
def test_estimator_of_several_targets_is_refused_if_one_is_named(
    models: Path, quick: None, tmp_path: Path, kind: Any
) -> None:
    inner, targets = (
        (Ridge(), ["price", "count"]) if kind is MultiOutputRegressor else (LogisticRegression(), ["ill", "grade"])
    )
    frame = table()[["weight", *targets]]
    joblib.dump(kind(inner).fit(frame[["weight"]], frame[targets]), tmp_path / "m.joblib")
    frame.to_csv(tmp_path / "d.csv", index=False)
    words = ["--name", "mine", "--data", str(tmp_path / "d.csv"), "--target", targets[0]]
    with pytest.raises(CommandError, match=r"predicts (2|several) targets.*--target"):
        run("register_model", str(tmp_path / "m.joblib"), *words)


def test_rows_may_come_as_parquet(models: Path, quick: None, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    joblib.dump(MODEL, tmp_path / "m.joblib")
    FRAME.to_parquet(tmp_path / "d.parquet")
    words = ["--name", "mine", "--data", str(tmp_path / "d.parquet"), "--target", "ill"]
    assert "It serves now" in run("register_model", str(tmp_path / "m.joblib"), *words)
