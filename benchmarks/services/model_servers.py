"""Other model servers, each configured as its documentation describes for two cores."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.exchange import post
from benchmarks.services.peer import CODE, Peer
from benchmarks.services.service import numbers
from benchmarks.workloads import KINDS, Numbers
from tests.support.product import free_port


class ModelServer(Peer):
    keeps = "nothing"
    gives = (
        "The answer, in the same request. Requests wait in the memory of the API server, and workers predict batches "
        "in their own processes. If a process ends, its requests are lost."
    )


class LitServe(ModelServer):
    name = venv = "litserve"
    text = "2 workers, batches of up to 32 gathered for 5 ms, 1 API server"
    packages = ("litserve", "scikit-learn", "numpy")
    page = "/health"
    api_servers = 1

    def start(self) -> None:
        command = [str(self.program("python")), str(CODE / "litserve_app.py"), str(self.port), str(self.api_servers)]
        self.processes.start("server", command, self.folder)

    def request(self, workload: str, row: Sequence[float]) -> bytes:
        return post("/predict", json.dumps({"model": workload, "features": row}).encode())

    def answer(self, body: bytes) -> Numbers:
        return numbers(json.loads(body)["prediction"])


class LitServeTwoServers(LitServe):
    name = "litserve-2api"
    text = "as litserve, with 2 API servers"
    api_servers = 2


class MLServer(ModelServer):
    name = venv = "mlserver"
    text = "2 parallel workers, batches of up to 32 gathered for 5 ms"
    packages = ("mlserver", "mlserver-sklearn", "scikit-learn", "numpy", "uvloop")
    # The workers of MLServer 1.7 expect an event loop in their main thread, where older versions of uvloop leave one.
    constraints = ("uvloop<0.22",)
    page = "/v2/health/live"

    def prepare(self) -> None:
        settings = {
            "host": "127.0.0.1", "http_port": self.port, "grpc_port": free_port(), "metrics_port": free_port(),
            "parallel_workers": 2, "debug": False,
        }  # fmt: skip
        (self.folder / "settings.json").write_text(json.dumps(settings))
        for workload in KINDS:
            artefact = self.artefacts / f"{workload}.joblib"
            if artefact.exists():
                self._describe(workload, artefact)

    def _describe(self, workload: str, artefact: Path) -> None:
        settings = {
            "name": workload, "implementation": "mlserver_sklearn.SKLearnModel",
            "max_batch_size": 32, "max_batch_time": 0.005, "parameters": {"uri": str(artefact)},
        }  # fmt: skip
        folder = self.folder / workload
        folder.mkdir(exist_ok=True)
        (folder / "model-settings.json").write_text(json.dumps(settings))

    def start(self) -> None:
        self.processes.start("server", [str(self.program("mlserver")), "start", str(self.folder)], self.folder)

    def request(self, workload: str, row: Sequence[float]) -> bytes:
        tensor = {"name": "x", "shape": [1, len(row)], "datatype": "FP64", "data": row}
        return post(f"/v2/models/{workload}/infer", json.dumps({"inputs": [tensor]}).encode())

    def answer(self, body: bytes) -> Numbers:
        return numbers(json.loads(body)["outputs"][0]["data"][0])


class BentoML(ModelServer):
    name = venv = "bentoml"
    text = "2 workers, adaptive batching"
    packages = ("bentoml", "scikit-learn", "numpy")
    page = "/livez"

    def environment(self) -> Mapping[str, str]:
        home = {"BENTOML_HOME": str(self.folder / "home"), "BENTOML_DO_NOT_TRACK": "True"}
        return {**super().environment(), **home}

    def start(self) -> None:
        listen = ["--host", "127.0.0.1", "--port", str(self.port)]
        self.processes.start(
            "server", [str(self.program("bentoml")), "serve", "bentoml_app:Predictions", *listen], CODE
        )

    def request(self, workload: str, row: Sequence[float]) -> bytes:
        return post(f"/{workload}", json.dumps({"rows": [row]}).encode())

    def answer(self, body: bytes) -> Numbers:
        return numbers(json.loads(body)[0])
