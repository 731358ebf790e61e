import numpy as np

from predictions.serving.registration import Split, TrainingData
from tests.worker.estimators import Probe


def train() -> TrainingData:
    # The proof of a version asks for values around those of the training data, and waits for each.
    x = np.array([[number, 0.001 * (number % 2)] for number in range(40)])
    rows = Split(x, 2 * x[:, 0] + 1)
    return TrainingData(Probe().fit(rows.x, rows.y), rows, rows)
