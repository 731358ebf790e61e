"""Files of boosters answer as the thing that saved them, whatever their objective is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from django.core.management import CommandError

from tests.integration.importing.conftest import answer
from tests.support.commands import run

ROWS = 240
COLUMNS = ["age", "income"]


def data() -> pd.DataFrame:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"age": random.integers(18, 80, ROWS), "income": random.normal(50, 10, ROWS).round(1)})
    frame["ill"] = ((frame["age"] > 40) ^ (random.random(ROWS) < 0.2)).astype(int)
    return frame


FRAME = data()
X = FRAME[COLUMNS]


def shifted() -> pd.DataFrame:
    """Rows on which boosting stops early."""
    return X + np.random.default_rng(1).normal(0, 15, X.shape)


def register(path: Path, target: str = "ill") -> str:
    FRAME.to_csv(path.parent / "d.csv", index=False)
    words = ["--data", str(path.parent / "d.csv"), "--target", target]
    return run("register_model", str(path), "--name", "mine", *words)


def share(row: int) -> float:
    return float(answer(sent(row))["probabilities"]["1"])


def sent(row: int) -> dict[str, Any]:
    return {"age": int(X["age"][row]), "income": float(X["income"][row])}


# --- XGBoost ----------------------------------------------------------------------------------------------------------
def stopped_early(folder: Path) -> tuple[Path, Any]:
    import xgboost

    held_out = xgboost.DMatrix(shifted(), FRAME["ill"])
    params = {"objective": "binary:logistic", "eta": 0.8}
    booster = xgboost.train(
        params, xgboost.DMatrix(X, FRAME["ill"]), 200, evals=[(held_out, "v")], early_stopping_rounds=5, verbose_eval=0
    )
    assert booster.best_iteration + 1 < booster.num_boosted_rounds()
    booster.save_model(folder / "m.json")
    return folder / "m.json", booster


def test_booster_that_stopped_early_answers_with_all_its_rounds(models: Path, quick: None, tmp_path: Path) -> None:
    """As `Booster.predict` does. The scikit-learn class would stop at the best round."""
    import xgboost

    path, booster = stopped_early(tmp_path)
    register(path)
    assert [share(row) for row in range(5)] == pytest.approx(booster.predict(xgboost.DMatrix(X[:5])).tolist(), abs=1e-6)


def test_class_that_stopped_early_answers_with_its_best_round(models: Path, quick: None, tmp_path: Path) -> None:
    from xgboost import XGBClassifier

    own = XGBClassifier(n_estimators=200, early_stopping_rounds=5, learning_rate=0.8)
    own.fit(X, FRAME["ill"], eval_set=[(shifted(), FRAME["ill"])], verbose=False)
    own.save_model(tmp_path / "m.ubj")
    register(tmp_path / "m.ubj")
    assert [share(row) for row in range(5)] == pytest.approx(own.predict_proba(X[:5])[:, 1].tolist(), abs=1e-6)


def ranker() -> Any:
    from xgboost import XGBRanker

    return XGBRanker(n_estimators=8).fit(X, FRAME["ill"], qid=np.repeat(np.arange(24), 10))


def regressor_of_shares() -> Any:
    from xgboost import XGBRegressor

    return XGBRegressor(n_estimators=8, objective="binary:logistic").fit(X, FRAME["ill"])


@pytest.mark.parametrize("make", [ranker, regressor_of_shares])
def test_xgboost_file_is_read_as_the_class_that_it_names(
    models: Path, quick: None, tmp_path: Path, make: Callable[[], Any]
) -> None:
    own = make()
    own.save_model(tmp_path / "m.json")
    register(tmp_path / "m.json")
    given = [answer(sent(row))["value"] for row in range(5)]
    assert given == pytest.approx(own.predict(X[:5]).tolist(), abs=1e-6)


def test_hinge_loss_makes_a_classifier(models: Path, quick: None, tmp_path: Path) -> None:
    from xgboost import XGBClassifier

    own = XGBClassifier(n_estimators=8, objective="binary:hinge").fit(X, FRAME["ill"])
    own.save_model(tmp_path / "m.json")
    register(tmp_path / "m.json")
    assert [answer(sent(row))["label"] for row in range(5)] == [str(one) for one in own.predict(X[:5])]


MARGINS = "binary:logitraw"


def file_of_margins(folder: Path) -> Path:
    import xgboost

    booster = xgboost.train({"objective": MARGINS}, xgboost.DMatrix(X, FRAME["ill"]), 20)
    booster.save_model(folder / "m.json")
    return folder / "m.json"


def pickle_of_margins(folder: Path) -> Path:
    from xgboost import XGBClassifier

    joblib.dump(XGBClassifier(n_estimators=20, objective=MARGINS).fit(X, FRAME["ill"]), folder / "m.joblib")
    return folder / "m.joblib"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (file_of_margins, r"has the objective binary:logitraw, which gives no probabilities: use binary:logistic\.$"),
        (
            pickle_of_margins,
            r"^The probabilities of row 1 of the training data \(.*d\.csv, line 2\) are .*their sum 1\. ",
        ),
    ],
)
def test_margins_are_refused_as_probabilities(
    models: Path, tmp_path: Path, make: Callable[[Path], Path], sentence: str
) -> None:
    with pytest.raises(CommandError, match=sentence):
        register(make(tmp_path))


# --- CatBoost ---------------------------------------------------------------------------------------------------------
OPTIONS: dict[str, Any] = {"iterations": 10, "verbose": 0, "allow_writing_files": False}


def test_focal_loss_makes_a_classifier(models: Path, quick: None, tmp_path: Path) -> None:
    from catboost import CatBoostClassifier

    own = CatBoostClassifier(loss_function="Focal:focal_alpha=0.5;focal_gamma=2", **OPTIONS).fit(X, FRAME["ill"])
    own.save_model(str(tmp_path / "m.cbm"))
    register(tmp_path / "m.cbm")
    assert [share(row) for row in range(5)] == pytest.approx(own.predict_proba(X[:5])[:, 1].tolist())


def test_answers_that_are_no_classes_are_refused(models: Path, tmp_path: Path) -> None:
    """CatBoost's own class answers margins, though it has classes."""
    from catboost import CatBoost

    joblib.dump(CatBoost({"loss_function": "Logloss", **OPTIONS}).fit(X, FRAME["ill"]), tmp_path / "m.joblib")
    with pytest.raises(CommandError, match=r"^The estimator answers row 1 .* with a class that it does not name: "):
        register(tmp_path / "m.joblib")


@pytest.mark.parametrize("loss", ["MultiQuantile:alpha=0.1,0.9", "RMSEWithUncertainty"])
def test_several_numbers_for_one_target_are_refused(models: Path, tmp_path: Path, loss: str) -> None:
    from catboost import CatBoostRegressor

    own = CatBoostRegressor(loss_function=loss, **OPTIONS).fit(X, FRAME["ill"])
    own.save_model(str(tmp_path / "m.cbm"))
    sentence = r"If it predicts several targets, name each .* Several numbers for one target, such as quantiles, cannot"
    with pytest.raises(CommandError, match=sentence):
        register(tmp_path / "m.cbm")


def texts(folder: Path) -> tuple[Any, pd.DataFrame]:
    from catboost import CatBoostClassifier

    random = np.random.default_rng(2)
    notes = [" ".join(random.choice(["good", "bad", "slow", "fast"], 4)) for _ in range(ROWS)]
    frame = pd.DataFrame({"note": notes, "age": X["age"], "ill": ["good" in note for note in notes]})
    frame.to_csv(folder / "d.csv", index=False)
    return CatBoostClassifier(text_features=["note"], **OPTIONS).fit(frame[["note", "age"]], frame["ill"]), frame


def register_texts(path: Path) -> None:
    run("register_model", str(path), "--name", "mine", "--data", str(path.parent / "d.csv"), "--target", "ill")


def test_catboost_with_texts_is_served_from_its_own_file(models: Path, quick: None, tmp_path: Path) -> None:
    own, frame = texts(tmp_path)
    own.save_model(str(tmp_path / "m.cbm"))
    register_texts(tmp_path / "m.cbm")
    given = answer({"note": frame["note"][0], "age": int(frame["age"][0])})["probabilities"]
    assert [given["False"], given["True"]] == pytest.approx(own.predict_proba(frame[["note", "age"]][:1])[0].tolist())


def test_pickled_catboost_with_texts_is_refused(models: Path, tmp_path: Path) -> None:
    """CatBoost crashes when it opens such a pickle for the second time."""
    joblib.dump(texts(tmp_path)[0], tmp_path / "m.joblib")
    sentence = (
        r"m\.joblib holds a CatBoostClassifier with text features, which CatBoost cannot store again: write it with "
        r"save_model\('model\.cbm'\) where it was fitted, and bring that file\.$"
    )
    with pytest.raises(CommandError, match=sentence):
        register_texts(tmp_path / "m.joblib")
