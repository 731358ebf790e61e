"""A target that is a DataFrame of one column."""

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression

from predictions.serving.registration import Split, TrainingData

x = pd.DataFrame(np.random.default_rng(8).normal(size=(600, 2)), columns=["a", "b"])
y = pd.DataFrame({"price": x["a"] * 3 + x["b"]})
estimator = LinearRegression()


def train():
    estimator.fit(x[:400], y[:400])
    return TrainingData(estimator, Split(x[:400], y[:400]), Split(x[400:], y[400:]))
