"""A service that runs in a virtual environment of its own, without this repository, and answers in one request."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from benchmarks.exchange import Reply
from benchmarks.load import Refused, RequestStyle
from benchmarks.services.service import Service
from benchmarks.workloads import Numbers

CODE = Path(__file__).parent.parent / "peers"


class Peer(Service):
    """A service of others. `venv` names the virtual environment below BENCH_VENVS. `benchmarks.environments` installs
    `packages` there, in versions that keep to `constraints`."""

    venv: ClassVar[str]
    constraints: ClassVar[Sequence[str]] = ()

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
