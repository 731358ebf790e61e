"""FastAPI with the estimator in its web processes: the shortest program that answers."""

import json
from collections.abc import Mapping, Sequence
from typing import ClassVar

from benchmarks.exchange import post
from benchmarks.services.peer import CODE, Peer
from benchmarks.services.service import numbers
from benchmarks.workloads import Numbers

UVICORN = ("uvicorn", "uvloop", "httptools")


class FastApi(Peer):
    name = venv = "fastapi"
    text = "2 uvicorn processes, the estimator in each, predict calls on the event loop"
    keeps = "nothing"
    gives = (
        "The answer, in the same request. A process does nothing else while it predicts: other requests and pages "
        "wait, and nothing bounds the wait. If a process ends, its requests are lost."
    )
    packages = ("fastapi", *UVICORN, "scikit-learn", "numpy", "onnxruntime", "skl2onnx")
    page = "/health"
    connections = (32,)
    engine: ClassVar[str] = "sklearn"

    def environment(self) -> Mapping[str, str]:
        return {**super().environment(), "ENGINE": self.engine}

    def start(self) -> None:
        self.processes.start("server", uvicorn(self, "fastapi_app:app"), CODE)

    def request(self, workload: str, row: Sequence[float]) -> bytes:
        return post("/predict", json.dumps({"model": workload, "features": row}).encode())

    def answer(self, body: bytes) -> Numbers:
        return numbers(json.loads(body)["prediction"])


class FastApiOnnx(FastApi):
    name = "fastapi-onnx"
    text = "as fastapi, with the estimators converted to ONNX Runtime"
    # skl2onnx does not convert HistGradientBoostingRegressor here.
    workloads = ("lr", "rf")
    engine = "onnx"


def uvicorn(peer: Peer, application: str) -> list[str]:
    """The command of two uvicorn processes without an access log."""
    listen = ["--host", "127.0.0.1", "--port", str(peer.port), "--workers", "2"]
    return [str(peer.program("uvicorn")), application, *listen, "--no-access-log", "--log-level", "warning"]
