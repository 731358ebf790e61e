"""An encoder that learned the missing value as a category of its own."""

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from predictions.serving.registration import Split, TrainingData

random = np.random.default_rng(1)
colour = random.choice(np.array(["red", "blue", np.nan], dtype=object), 600)
x = pd.DataFrame({"colour": colour, "shift": random.normal(size=600)})
y = x["shift"] + np.where(x["colour"].isna(), 100.0, np.where(x["colour"] == "red", 1.0, 2.0))
estimator = make_pipeline(
    make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["colour"]), remainder="passthrough"),
    LinearRegression(),
)


def train():
    estimator.fit(x[:400], y[:400])
    return TrainingData(estimator, Split(x[:400], y[:400]), Split(x[400:], y[400:]))
