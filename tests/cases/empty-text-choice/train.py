"""Choices with spaces, and the empty text as a choice."""

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from predictions.serving.registration import Split, TrainingData

random = np.random.default_rng(12)
work = random.choice(np.array([" Private", " ?", "", "State "], dtype=object), 600)
x = pd.DataFrame({"work": pd.Series(work, dtype=object), "hours": random.normal(size=600)})
y = x["work"].map({" Private": 10.0, " ?": 20.0, "": 30.0, "State ": 40.0}).astype(float) + x["hours"]
estimator = make_pipeline(
    make_column_transformer((OneHotEncoder(), ["work"]), remainder="passthrough"), LinearRegression()
)


def train():
    estimator.fit(x[:400], y[:400])
    return TrainingData(estimator, Split(x[:400], y[:400]), Split(x[400:], y[400:]))
