"""The reference design: one Celery task for each row, its result in Redis, and polling."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.exchange import Reply, get, post
from benchmarks.load import Pending, Refused, RequestStyle
from benchmarks.services.service import Service, numbers
from benchmarks.workloads import Numbers
from project.dev_redis import server_binary
from tests.support.product import free_port

CODE = Path(__file__).parent.parent / "reference"


class Reference(Service):
    name = "reference"
    text = "gunicorn with 2 workers of 4 threads, celery -c 2, Redis without persistence"
    keeps = "nothing but Celery's result in Redis"
    gives = "The answer under the id of its task, by polling. The end of Redis or of a worker loses tasks."
    page = "/api/health/"
    # At 256 connections, the last answer of a load takes up to a minute.
    connections = (32,)
    packages = ("django", "celery", "redis", "gunicorn", "scikit-learn", "numpy")

    def __init__(self, folder: Path, artefacts: Path) -> None:
        self.redis_port = free_port()
        super().__init__(folder, artefacts)

    def environment(self) -> Mapping[str, str]:
        return os.environ | {
            "DJANGO_SETTINGS_MODULE": "settings",
            "REDIS_URL": f"redis://127.0.0.1:{self.redis_port}",
            "ARTEFACTS": str(self.artefacts),
        }

    def styles(self) -> Sequence[RequestStyle]:
        return [Polling()]

    def start(self) -> None:
        program = Path(sys.executable).parent
        redis = ["--port", str(self.redis_port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.processes.start("redis", [server_binary(), *redis, "--dir", str(self.folder)], CODE)
        celery = [str(program / "celery"), "-A", "queueing", "worker", "-c", "2", "-l", "warning"]
        self.processes.start("worker", celery, CODE)
        gunicorn = [str(program / "gunicorn"), "wsgi:application", "--workers", "2", "--threads", "4"]
        listen = ["--bind", f"127.0.0.1:{self.port}", "--log-level", "warning"]
        self.processes.start("web", [*gunicorn, *listen], CODE)


class Polling:
    name = "polling"

    def request(self, workload: str, row: Sequence[float]) -> bytes:
        return post("/api/predict/", json.dumps({"model": workload, "features": row}).encode())

    def read(self, reply: Reply) -> Numbers | Pending:
        if reply.status not in (200, 202):
            raise Refused(f"{reply.status} {reply.body[:200]!r}")
        body = json.loads(reply.body)
        if body["status"] == "FAILURE":
            raise Refused("the task failed")
        if body["status"] != "SUCCESS":
            return Pending(get(f"/api/predict/{body['task_id']}/"))
        return numbers(*body["result"])
