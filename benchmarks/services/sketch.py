"""A sketch of Foretell's design with as little else as possible. Its speed is a limit to compare Foretell's with."""

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from benchmarks.exchange import post
from benchmarks.services.in_process import UVICORN, uvicorn
from benchmarks.services.peer import CODE, Peer
from benchmarks.services.service import numbers
from benchmarks.workloads import Numbers
from project.dev_redis import server_binary
from tests.support.product import free_port

REDIS_SECONDS = 10.0
WORKERS = 2


class Sketch(Peer):
    name = venv = "sketch"
    text = "Starlette and msgspec in 2 uvicorn processes, SQLite, Redis, 2 workers with ONNX Runtime"
    keeps = "a row in SQLite, committed before a worker sees it, and again with its result"
    gives = (
        "The answer, in the same request. It has no checks of values, owners, limits, pages or leases: if a worker "
        "ends, its rows stay unfinished."
    )
    packages = (
        "starlette", "msgspec", "redis", "hiredis", *UVICORN, "scikit-learn", "numpy", "onnxruntime", "skl2onnx",
    )  # fmt: skip
    page = "/health"
    workloads = ("lr", "rf")
    connections = (32,)

    def __init__(self, folder: Path, artefacts: Path) -> None:
        self.redis_port = free_port()
        super().__init__(folder, artefacts)

    def environment(self) -> Mapping[str, str]:
        database = str(self.folder / "sketch.sqlite3")
        return {**super().environment(), "SKETCH_DATABASE": database, "SKETCH_REDIS": str(self.redis_port)}

    def prepare(self) -> None:
        command = [str(self.program("python")), "sketch_store.py"]
        subprocess.run(command, cwd=CODE, env=self.environment(), check=True, timeout=60)

    def start(self) -> None:
        redis = ["--port", str(self.redis_port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.processes.start("redis", [server_binary(), *redis, "--dir", str(self.folder)], CODE)
        self._wait_for_redis()
        for number in range(WORKERS):
            self.processes.start(f"worker-{number}", [str(self.program("python")), "sketch_worker.py"], CODE)
        self.processes.start("web", uvicorn(self, "sketch_web:app"), CODE)

    def _wait_for_redis(self) -> None:
        until = time.monotonic() + REDIS_SECONDS
        with Redis(port=self.redis_port) as redis:
            while time.monotonic() < until:
                with suppress(RedisConnectionError):
                    redis.ping()
                    return
                time.sleep(0.01)
        raise RuntimeError(f"Redis did not start in {REDIS_SECONDS:g} s")

    def request(self, workload: str, row: Sequence[float]) -> bytes:
        return post("/predict", json.dumps({"model": workload, "features": row}).encode())

    def answer(self, body: bytes) -> Numbers:
        output = json.loads(body)["output"]
        return numbers(output["label"], *output["probabilities"])
