"""A further version of a model: its columns, targets and categories are compared with model.toml."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from django.core.management import CommandError
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from predictions.serving.artifacts import repository
from tests.integration.importing.conftest import Bring
from tests.support.brought import table
from tests.support.commands import run

RANDOM = np.random.default_rng(5)
BODY = pd.DataFrame(
    {"height": RANDOM.normal(170, 10, 80), "weight": RANDOM.normal(70, 10, 80), "debt": RANDOM.normal(5, 1, 80)}
).round(1)
BODY["y"] = (3 * BODY["height"] + 0.1 * BODY["weight"] + 20 * BODY["debt"]).round(3)
ORDER = "Is this the order in which it was fitted?"


def fitted(columns: list[str], *, named: bool) -> tuple[Any, pd.DataFrame]:
    """An estimator fitted on these columns, and the content of its file."""
    x = BODY[columns] if named else BODY[columns].to_numpy()
    return LinearRegression().fit(x, BODY["y"]), BODY[[*columns, "y"]]


@pytest.mark.parametrize("named", [True, False], ids=["names", "no names"])
@pytest.mark.parametrize("columns", [["weight", "height"], ["debt", "height"], ["height", "weight", "debt"]])
def test_version_with_other_columns_than_model_toml_is_refused(
    bring: Bring, models: Path, columns: list[str], named: bool
) -> None:
    bring(*fitted(["height", "weight"], named=True), "y")

    with pytest.raises(
        CommandError,
        match=rf"reads {', '.join(columns)}.*model\.toml describes height, weight: .* in their order.*another --name",
    ):
        bring(*fitted(columns, named=named), "y")

    assert [one.version for one in repository.manifests(models, "mine")] == [1]


def test_difference_between_many_columns_is_named(bring: Bring) -> None:
    wide = pd.DataFrame(RANDOM.normal(size=(60, 30)), columns=[f"x{at}" for at in range(30)])
    y = wide["x3"] + wide["x28"]
    bring(LinearRegression().fit(wide, y), wide.assign(y=y), "y")
    other = wide[[*wide.columns[:28], "x29", "x28"]]

    with pytest.raises(
        CommandError, match=r"reads from column 29 on x29, x28 .* describes from column 29 on x28, x29:"
    ):
        bring(LinearRegression().fit(other.to_numpy(), y), other.assign(y=y), "y")


@pytest.mark.parametrize("first", [True, False], ids=["first version", "next version"])
def test_order_of_columns_without_names_is_asked(bring: Bring, first: bool) -> None:
    if not first:
        bring(*fitted(["height", "weight"], named=True), "y")
    said = bring(*fitted(["height", "weight"], named=False), "y")
    assert f"in the order of mine.csv: height, weight. {ORDER}" in said


def test_order_of_named_columns_is_not_asked(bring: Bring) -> None:
    assert ORDER not in bring(*fitted(["height", "weight"], named=True), "y")
    assert ORDER not in bring(*fitted(["height", "weight"], named=True), "y")


def test_order_of_columns_without_names_is_asked_if_there_is_no_data(bring: Bring, tmp_path: Path) -> None:
    bring(*fitted(["height", "weight"], named=True), "y")
    bring(*fitted(["height", "weight"], named=False), "y", "--dry-run")
    said = run("register_model", str(tmp_path / "mine.joblib"), "--name", "mine")
    assert f"in the order of model.toml: height, weight. {ORDER}" in said


def test_targets_in_another_order_than_in_model_toml_are_refused(bring: Bring) -> None:
    x, targets = BODY[["debt"]], BODY[["height", "weight"]]
    bring(LinearRegression().fit(x, targets), x.join(targets), "height,weight")
    with pytest.raises(
        CommandError, match=r"--target names weight, height, and .*model\.toml describes height, weight"
    ):
        bring(LinearRegression().fit(x, targets[["weight", "height"]]), x.join(targets), "weight,height")


def of_city(frame: pd.DataFrame, handle_unknown: str) -> tuple[Any, pd.DataFrame, str]:
    """An estimator fitted on these rows, the rows, and the target."""
    steps = make_column_transformer((OneHotEncoder(handle_unknown=handle_unknown), ["city"]), remainder="passthrough")
    model = make_pipeline(steps, LinearRegression()).fit(frame[["city", "count"]], frame["price"])
    return model, frame, "price"


FRUIT = table()[["city", "count", "price"]]
FORGOTTEN = "`city` offers 'Ulm', which OneHotEncoder of this estimator has never seen: fit it again"


@pytest.mark.parametrize("handle_unknown", ["ignore", "error"])
def test_choices_that_the_next_version_has_forgotten_are_named(bring: Bring, handle_unknown: str) -> None:
    assert "never seen" not in bring(*of_city(FRUIT, handle_unknown))
    assert FORGOTTEN in bring(*of_city(FRUIT[FRUIT["city"] != "Ulm"], handle_unknown))
    assert "never seen" not in bring(*of_city(FRUIT, handle_unknown))


def test_choices_that_the_next_version_has_forgotten_are_named_if_there_is_no_data(
    bring: Bring, tmp_path: Path
) -> None:
    bring(*of_city(FRUIT, "ignore"))
    bring(*of_city(FRUIT[FRUIT["city"] != "Ulm"], "ignore"), "--dry-run")
    assert FORGOTTEN in run("register_model", str(tmp_path / "mine.joblib"), "--name", "mine")
