"""Choices that are decimals."""

import numpy as np
from sklearn.tree import DecisionTreeRegressor

from predictions.serving.registration import Split, TrainingData

random = np.random.default_rng(14)
x = np.column_stack([random.choice([0.5, 1.0, 2.5], 600), random.uniform(50, 90, 600)])
y = x[:, 0] * 10 + (x[:, 1] > 70)
estimator = DecisionTreeRegressor(max_depth=4, random_state=0)


def train():
    estimator.fit(x[:400], y[:400])
    return TrainingData(estimator, Split(x[:400], y[:400]), Split(x[400:], y[400:]))
