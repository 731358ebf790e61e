"""An optional yes or no: three answers."""

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from predictions.serving.registration import Split, TrainingData

random = np.random.default_rng(4)
smoker, age = random.choice([0.0, 1.0, np.nan], 600), random.uniform(20, 60, 600)
x = np.column_stack([smoker, age])
y = age + np.select([np.isnan(smoker), smoker == 1], [1000.0, 100.0], 0.0)
estimator = HistGradientBoostingRegressor(max_iter=60)


def train():
    estimator.fit(x[:400], y[:400])
    return TrainingData(estimator, Split(x[:400], y[:400]), Split(x[400:], y[400:]))
