"""pandas' nullable whole numbers."""

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor

from predictions.serving.registration import Split, TrainingData

rooms = pd.array([None if i % 9 == 0 else i % 5 for i in range(600)], dtype="Int64")
x = pd.DataFrame({"rooms": rooms, "shift": np.random.default_rng(10).normal(size=600)})
y = x["shift"] + rooms.to_numpy(dtype=float, na_value=7.0)
estimator = HistGradientBoostingRegressor(max_iter=30)


def train():
    estimator.fit(x[:400], y[:400])
    return TrainingData(estimator, Split(x[:400], y[:400]), Split(x[400:], y[400:]))
