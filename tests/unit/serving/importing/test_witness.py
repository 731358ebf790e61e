"""The facts that a fitted estimator gives about its columns, by their positions in its input."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from predictions.serving.importing.witness import witnesses
from tests.support.brought import table

FRAME = table()[["city", "grade", "count"]]


def test_categories_belong_to_their_column_if_a_step_before_the_encoder_reorders_the_columns() -> None:
    imputers = [
        ("numbers", SimpleImputer(), ["count"]),
        ("texts", SimpleImputer(strategy="most_frequent"), ["city", "grade"]),
    ]
    filled = ColumnTransformer(imputers, verbose_feature_names_out=False).set_output(transform="pandas")
    encoded = make_column_transformer((OneHotEncoder(), ["city", "grade"]), (StandardScaler(), ["count"]))
    model = make_pipeline(filled, encoded, LogisticRegression()).fit(FRAME, table()["ill"])

    found = witnesses(model, 3)

    assert (found[0].categories, found[1].categories) == (("Bonn", "Jena", "Ulm"), ("a", "b", "c"))
    assert found[2].categories is None


@pytest.mark.filterwarnings("ignore:Skipping features")
def test_step_after_one_that_dropped_a_column_gives_no_facts() -> None:
    frame = pd.DataFrame({"empty": [np.nan] * 4, "grade": [1.0, 2.0, 1.0, 2.0]})
    model = make_pipeline(SimpleImputer(), OneHotEncoder(), LogisticRegression()).fit(frame, [0, 1, 0, 1])

    assert {at: one.categories for at, one in witnesses(model, 2).items()} == {0: None, 1: None}
