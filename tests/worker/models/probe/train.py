import numpy as np

from predictions.serving.registration import Split, TrainingData
from tests.worker.estimators import Probe


def train() -> TrainingData:
    x = np.array([[number, 0.0] for number in range(40)])
    rows = Split(x, 2 * x[:, 0] + 1)
    return TrainingData(Probe().fit(rows.x, rows.y), rows, rows)
