"""Run by `bentoml serve bentoml_app:Predictions`. The variable ARTEFACTS names the folder of `<name>.joblib`."""

import os
from pathlib import Path

import bentoml
import joblib
import numpy as np

BATCHES = {"batchable": True, "batch_dim": 0, "max_batch_size": 128, "max_latency_ms": 1000}


@bentoml.service(workers=2, traffic={"timeout": 60})
class Predictions:
    def __init__(self) -> None:
        paths = Path(os.environ["ARTEFACTS"]).glob("*.joblib")
        self.estimators = {path.stem: joblib.load(path) for path in paths}

    @bentoml.api(**BATCHES)
    def lr(self, rows: np.ndarray) -> np.ndarray:
        return self.estimators["lr"].predict(rows)

    @bentoml.api(**BATCHES)
    def rf(self, rows: np.ndarray) -> np.ndarray:
        return self.estimators["rf"].predict(rows)

    @bentoml.api(**BATCHES)
    def hgb(self, rows: np.ndarray) -> np.ndarray:
        return self.estimators["hgb"].predict(rows)
