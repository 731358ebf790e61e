"""A clusterer, whose numbers name groups."""

import numpy as np
from sklearn.cluster import KMeans

from predictions.serving.registration import Split, TrainingData

x = np.random.default_rng(7).normal(size=(600, 2))
estimator = KMeans(4, n_init=3, random_state=0).fit(x[:400])
y = estimator.predict(x)


def train():
    estimator.fit(x[:400], y[:400])
    return TrainingData(estimator, Split(x[:400], y[:400]), Split(x[400:], y[400:]))
