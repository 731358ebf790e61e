"""A transformer in a module beside train.py."""

import pathlib
import sys

import numpy as np

from predictions.serving.registration import Split, TrainingData

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from squares import Squares

random = np.random.default_rng(5)
x = random.normal(size=(600, 2))
y = x[:, 0] ** 2 + x[:, 1]
estimator = make_pipeline(Squares(), LinearRegression())


def train():
    estimator.fit(x[:400], y[:400])
    return TrainingData(estimator, Split(x[:400], y[:400]), Split(x[400:], y[400:]))
