"""Foretell: the lines of the Procfile, with their own folder, database, Redis and port."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.exchange import Reply, get, post
from benchmarks.load import Pending, Refused, RequestStyle
from benchmarks.services.service import Service, numbers
from benchmarks.workloads import Numbers
from project.dev_redis import socket_folder
from project.env import BASE_DIR
from tests.support.product import environment, procfile

TERMINAL = {"succeeded", "failed", "canceled", "expired"}


class Foretell(Service):
    name = "foretell"
    text = (
        "the lines of the Procfile: 2 web processes, 2 workers, keeper, Redis, and what waits for files. All variables "
        "have their defaults, except CONNECTIONS_PER_ADDRESS: the load client is one address"
    )
    keeps = "a row in SQLite, committed before the 202, and again with its result"
    gives = (
        "The answer, in the same request or later under its URL. The row waits in the database, so the end of any "
        "process loses nothing. Input is checked, and each answer carries probabilities, an interval or a grade."
    )
    page = "/healthz/live"
    packages = ("django", "celery", "redis", "uvicorn", "scikit-learn", "numpy")
    # Variables that differ from their defaults.
    variables: ClassVar[Mapping[str, str]] = {"CONNECTIONS_PER_ADDRESS": "2000"}
    # The workload that is also measured with 1,000 connections.
    crowded: ClassVar[str | None] = "lr"

    @property
    def models(self) -> Path:
        return self.artefacts / "models"

    def environment(self) -> Mapping[str, str]:
        paths = {"VAR_DIR": self.folder / "var", "MODELS_DIR": self.models}
        return environment(DEBUG="false", PORT=self.port, **paths, **self.variables)

    def styles(self) -> Sequence[RequestStyle]:
        return [Waiting(), Polling()]

    def prepare(self) -> None:
        """Prepare the database, static files and registered models once, and copy them for each round."""
        prepared = self.artefacts / "var"
        if not prepared.exists():
            self._manage_prepare(prepared)
        shutil.copytree(prepared, self.folder / "var")

    def _manage_prepare(self, var: Path) -> None:
        done = subprocess.run(
            [sys.executable, "manage.py", "prepare"], cwd=BASE_DIR, env={**self.environment(), "VAR_DIR": str(var)},
            capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"manage.py prepare failed: {done.stderr[-1000:]}")

    def start(self) -> None:
        self.start_lines(sorted(procfile(), key=lambda name: name != "redis"))

    def start_lines(self, names: Sequence[str]) -> None:
        lines = procfile()
        for name in names:
            self.processes.start(name, lines[name], BASE_DIR)

    def stop(self) -> None:
        super().stop()
        shutil.rmtree(socket_folder(self.folder / "var"), ignore_errors=True)


class Waiting:
    """One request that waits for its answer. Polls if the server has no free place to wait."""

    name = "waiting"
    headers = "Prefer: wait=10\r\n"

    def request(self, workload: str, row: Sequence[float]) -> bytes:
        body = json.dumps({"features": row}).encode()
        return post(f"/api/v1/models/{workload}/predictions/", body, self.headers)

    def read(self, reply: Reply) -> Numbers | Pending:
        prediction = body_of(reply)
        if prediction["status"] not in TERMINAL:
            return Pending(get(f"/api/v1/predictions/{prediction['id']}/"))
        if prediction["status"] != "succeeded":
            raise Refused(str(prediction["error"]))
        return answer_of(prediction["output"])


class Polling(Waiting):
    """Submit, then poll until the prediction is finished."""

    name = "polling"
    headers = ""


def body_of(reply: Reply) -> dict[str, Any]:
    if reply.status not in (200, 202):
        raise Refused(f"{reply.status} {reply.body[:200]!r}")
    body: dict[str, Any] = json.loads(reply.body)
    return body


def answer_of(output: Mapping[str, Any]) -> Numbers:
    if output["kind"] == "regression":
        return numbers(output["value"])
    return numbers(output["label"], *output["probabilities"].values())
