import numpy as np

from predictions.serving.registration import Split, TrainingData
from tests.worker.estimators import Probe


def train() -> TrainingData:
    # The second feature is the duration of the predict call. The proof of a version predicts many rows around these, so
    # the durations are short.
    x = np.array([[number, 0.001 * (number % 2)] for number in range(40)])
    rows = Split(x, 2 * x[:, 0] + 1)
    return TrainingData(Probe().fit(rows.x, rows.y), rows, rows)
