"""Other model servers, each configured as its documentation describes for two cores, in its own virtual environment."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from benchmarks.exchange import Reply, post
from benchmarks.load import Refused, RequestStyle
from benchmarks.services.service import Service, numbers
from benchmarks.workloads import KINDS, Numbers
from tests.support.product import free_port

CODE = Path(__file__).parent.parent / "peers"


class Peer(Service):
    """A model server. `venv` is the name of its virtual environment below BENCH_VENVS."""

    venv: ClassVar[str]
    keeps = "nothing"

    def environment(self) -> Mapping[str, str]:
        path = f"{self.program('python').parent}:{os.environ['PATH']}"
        return os.environ | {"PATH": path, "ARTEFACTS": str(self.artefacts)}

    def styles(self) -> Sequence[RequestStyle]:
        return [OneRequest(self)]

    def request(self, workload: str, row: Sequence[float]) -> bytes:
        raise NotImplementedError

    def answer(self, body: bytes) -> Numbers:
        raise NotImplementedError

    @classmethod
    def program(cls, name: str) -> Path:
        return Path(os.environ.get("BENCH_VENVS", "")) / cls.venv / "bin" / name

    @classmethod
    def is_installed(cls) -> bool:
        return "BENCH_VENVS" in os.environ and cls.program("python").exists()

    @classmethod
    def versions(cls) -> dict[str, str]:
        code = f"import importlib.metadata as m, json; print(json.dumps({{n: m.version(n) for n in {cls.packages}}}))"
        command = [str(cls.program("python")), "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        found: dict[str, str] = json.loads(done.stdout)
        return found


class OneRequest:
    """One request whose reply contains the answer."""

    name = "one request"

    def __init__(self, peer: Peer) -> None:
        self.request = peer.request
        self._answer = peer.answer

    def read(self, reply: Reply) -> Numbers:
        if reply.status != 200:
            raise Refused(f"{reply.status} {reply.body[:200]!r}")
        return self._answer(reply.body)


class LitServe(Peer):
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


class MLServer(Peer):
    name = venv = "mlserver"
    text = "2 parallel workers, batches of up to 32 gathered for 5 ms"
    packages = ("mlserver", "mlserver-sklearn", "scikit-learn", "numpy", "uvloop")
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


class BentoML(Peer):
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


PEERS: dict[str, type[Peer]] = {peer.name: peer for peer in (LitServe, LitServeTwoServers, MLServer, BentoML)}
