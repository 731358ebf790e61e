"""An outlier detector, which answers 1 and -1."""

import numpy as np
from sklearn.ensemble import IsolationForest

from predictions.serving.registration import Split, TrainingData

x = np.random.default_rng(6).normal(size=(600, 2))
estimator = IsolationForest(n_estimators=20, random_state=0).fit(x[:400])
y = estimator.predict(x)


def train():
    estimator.fit(x[:400], y[:400])
    return TrainingData(estimator, Split(x[:400], y[:400]), Split(x[400:], y[400:]))
