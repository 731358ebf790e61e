"""A column of dates."""

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from predictions.serving.registration import Split, TrainingData
from tests.support.estimators import days_of

random = np.random.default_rng(17)
days = random.integers(0, 400, 600).astype(float)
days[::10] = np.nan
x = pd.DataFrame(
    {"day": pd.Timestamp("2024-01-01") + pd.to_timedelta(days, unit="D"), "shift": random.normal(size=600)}
)
y = np.where(np.isnan(days), -1.0, days) + x["shift"]
dated = make_pipeline(FunctionTransformer(days_of), SimpleImputer(strategy="constant", fill_value=-1.0))
estimator = make_pipeline(make_column_transformer((dated, ["day"]), remainder="passthrough"), LinearRegression())


def train():
    estimator.fit(x[:400], y[:400])
    return TrainingData(estimator, Split(x[:400], y[:400]), Split(x[400:], y[400:]))
