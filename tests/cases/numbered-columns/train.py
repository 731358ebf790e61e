"""A DataFrame whose columns are numbers."""

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression

from predictions.serving.registration import Split, TrainingData

x = pd.DataFrame(np.random.default_rng(11).normal(size=(600, 2)))
y = x.sum(axis=1)
estimator = LinearRegression()


def train():
    estimator.fit(x[:400], y[:400])
    return TrainingData(estimator, Split(x[:400], y[:400]), Split(x[400:], y[400:]))
