"""LightGBM on a column of pandas' category dtype."""

import numpy as np
import pandas as pd
from lightgbm import LGBMRegressor

from predictions.serving.registration import Split, TrainingData

random = np.random.default_rng(9)
x = pd.DataFrame({"make": pd.Categorical(random.choice(["vw", "bmw", "kia"], 600)), "age": random.uniform(0, 10, 600)})
y = x["make"].map({"vw": 10.0, "bmw": 20.0, "kia": 5.0}).astype(float) - x["age"]
estimator = LGBMRegressor(n_estimators=30, verbose=-1)


def train():
    estimator.fit(x[:400], y[:400])
    return TrainingData(estimator, Split(x[:400], y[:400]), Split(x[400:], y[400:]))
