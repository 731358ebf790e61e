"""Run by `uvicorn fastapi_app:app --workers 2`: each web process predicts by itself, on its event loop.

The variable ENGINE is `sklearn` or `onnx`, and ARTEFACTS names the folder of `<name>.joblib`.
"""

import os
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel
from threadpoolctl import threadpool_limits

Predict = Callable[[list[float]], float]


class PredictionRequest(BaseModel):
    model: str
    features: list[float]


class Prediction(BaseModel):
    prediction: float


def with_sklearn() -> dict[str, Predict]:
    paths = Path(os.environ["ARTEFACTS"]).glob("*.joblib")
    estimators = {path.stem: joblib.load(path) for path in paths}
    # One thread for each of the two processes: more would compete for the two cores. It limits loaded libraries only.
    threadpool_limits(1)
    return {
        name: lambda row, estimator=estimator: float(estimator.predict(np.array([row]))[0])
        for name, estimator in estimators.items()
    }


def with_onnx() -> dict[str, Predict]:
    import onnx_sessions  # noqa: PLC0415 - the other engine needs no ONNX Runtime

    sessions = onnx_sessions.load(["lr", "rf"])
    return {name: lambda row, session=session: session.labels([row])[0] for name, session in sessions.items()}


predictors = with_onnx() if os.environ["ENGINE"] == "onnx" else with_sklearn()
app = FastAPI()


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/predict")
async def predict(request: PredictionRequest) -> Prediction:
    return Prediction(prediction=predictors[request.model](request.features))
