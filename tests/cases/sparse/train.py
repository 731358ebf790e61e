"""A sparse training matrix."""

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import Ridge

from predictions.serving.registration import Split, TrainingData

dense = np.random.default_rng(15).normal(size=(600, 2))
x, y = csr_matrix(dense), dense[:, 0] + 2 * dense[:, 1]
estimator = Ridge()


def train():
    estimator.fit(x[:400], y[:400])
    return TrainingData(estimator, Split(x[:400], y[:400]), Split(x[400:], y[400:]))
