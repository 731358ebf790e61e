"""python -m benchmarks.growth: the same figures as the table of predictions, the models and the workers become more."""

import argparse
import json
import random
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import uvloop

from benchmarks import history, machine
from benchmarks.exchange import Connection, get
from benchmarks.figures import percentile, significant
from benchmarks.load import Refused, Target, predict
from benchmarks.services.ours import Foretell, Polling, Waiting
from benchmarks.tables import table
from benchmarks.workloads import Workload, build
from project.env import BASE_DIR
from tests.support import postgres

PAGE = BASE_DIR / "docs/reference/growth.md"
OUT = BASE_DIR / "var" / "bench"
# Of its rows there are many, so they are short: ten numbers.
WORKLOAD = "hgb"
CROWD = 32
ALONE = 150
READS = 300
# PostgreSQL as it is installed: every commit is on the disk before it is answered.
POSTGRES = {"listen_addresses": "", "max_connections": "300", "log_min_messages": "warning", "shared_buffers": "512MB"}

Json = dict[str, Any]


class Grown(Foretell):
    """The stack with settings of its own, and nothing prepared beforehand."""

    variables: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def with_variables(cls, **variables: str) -> type["Grown"]:
        return type("Grown", (cls,), {"variables": variables})

    def prepare(self) -> None:
        self._manage_prepare(self.folder / "var")


def main() -> int:
    options = _options()
    folder = OUT / datetime.now(UTC).strftime("growth-%Y%m%dT%H%M%SZ")
    artefacts = folder / "artefacts"
    artefacts.mkdir(parents=True)
    workload = build(WORKLOAD, artefacts, artefacts / "models")
    try:
        results = {
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": " ".join(["python -m benchmarks.growth", *sys.argv[1:]]),
            "revision": machine.revision(BASE_DIR),
            "machine": machine.describe(folder),
            "rows": [line for name in options.databases for line in _rows(name, options, folder, workload)],
            "models": [_models(count, options, folder, workload) for count in options.models],
            "workers": [_workers(count, options, folder, workload) for count in options.workers],
        }
        (folder / "results.json").write_text(json.dumps(results, indent=1))
        PAGE.write_text(page(results))
    finally:
        shutil.rmtree(artefacts, ignore_errors=True)
    return 0


def _options() -> argparse.Namespace:
    def counts(text: str) -> list[int]:
        return [int(part) for part in text.split(",") if part]

    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--rows", type=counts, default=[10_000, 1_000_000, 5_000_000])
    parser.add_argument("--databases", type=lambda text: text.split(","), default=["SQLite", "PostgreSQL"])
    parser.add_argument("--models", type=counts, default=[1, 8, 50])
    parser.add_argument("--workers", type=counts, default=[1, 2, 3, 4])
    parser.add_argument("--seconds", type=float, default=5.0, help="the length of one load (5)")
    return parser.parse_args()


# --- What grows -------------------------------------------------------------------------------------------------------
def _rows(database: str, options: argparse.Namespace, folder: Path, workload: Workload) -> Iterator[Json]:
    server = postgres.cluster(POSTGRES) if database == "PostgreSQL" else nullcontext("")
    with server as url, _running(folder / database, Grown.with_variables(DATABASE_URL=url), folder) as service:
        _warm_up(service, [workload.name], workload)
        for count in options.rows:
            start = time.perf_counter()
            history.fill(url or service.folder / "var" / "foretell.sqlite3", count)
            print(f"{database}: {count:,} predictions there after {time.perf_counter() - start:.0f} s", flush=True)
            yield {
                "what": f"{count:,} predictions, {database}",
                **_figures(service, options, [workload.name], workload),
            }


def _models(count: int, options: argparse.Namespace, folder: Path, workload: Workload) -> Json:
    names = [workload.name, *(f"{workload.name}-{number}" for number in range(2, count + 1))]
    for name in names[1:]:
        _copy(folder / "artefacts" / "models", workload.name, name)
    try:
        with _running(folder / f"{count}-models", Grown, folder) as service:
            _warm_up(service, names, workload)
            return {"what": f"{count} models, all asked", **_figures(service, options, names, workload)}
    finally:
        for name in names[1:]:
            shutil.rmtree(folder / "artefacts" / "models" / name)


def _workers(count: int, options: argparse.Namespace, folder: Path, workload: Workload) -> Json:
    variables = Grown.with_variables(WORKER_PROCESSES=str(count))
    with _running(folder / f"{count}-workers", variables, folder) as service:
        _warm_up(service, [workload.name], workload)
        return {"what": f"WORKER_PROCESSES={count}", **_figures(service, options, [workload.name], workload)}


def _copy(models: Path, name: str, new_name: str) -> None:
    """Another registered model with the same estimator."""
    shutil.copytree(models / name, models / new_name)
    for path in (models / new_name).rglob("version.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"model": new_name}))


@contextmanager
def _running(folder: Path, kind: type[Grown], above: Path) -> Iterator[Grown]:
    service = kind(folder, above / "artefacts")
    try:
        service.prepare()
        service.start()
        yield service
    finally:
        service.stop()
        shutil.rmtree(folder / "var", ignore_errors=True)


# --- What is measured -------------------------------------------------------------------------------------------------
def _targets(service: Grown, names: Sequence[str], workload: Workload) -> Target:
    """One target that asks all models in turn."""
    way = Waiting()
    requests = [way.request(names[place % len(names)], row) for place, row in enumerate(workload.rows)]
    return Target(service.port, way, workload, requests)


def _warm_up(service: Grown, names: Sequence[str], workload: Workload) -> None:
    until = time.monotonic() + 120
    target = _targets(service, names, workload)
    while True:
        try:
            uvloop.run(target.first_answer())
            break
        except (Refused, OSError, ValueError):
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
    uvloop.run(target.load(8, 60.0, most=max(200, 8 * len(names))))


def _figures(service: Grown, options: argparse.Namespace, names: Sequence[str], workload: Workload) -> Json:
    target = _targets(service, names, workload)
    alone = uvloop.run(target.load(1, 30.0, most=ALONE))
    uvloop.run(target.load(CROWD, 1.0))
    crowd = uvloop.run(target.load(CROWD, options.seconds))
    found = {
        "alone_ms": alone.p50,
        "crowd_per_second": crowd.per_second,
        "crowd_p99_ms": crowd.p99,
        "submit_ms": uvloop.run(_submit(service, names[0], workload)),
        "read_ms": uvloop.run(_read(service, names[0], workload)),
        "pss_mb": service.processes.pss_megabytes(),
        "bad": alone.wrong + alone.lost + alone.errors + crowd.wrong + crowd.lost + crowd.errors,
    }
    print({name: round(figure, 2) for name, figure in found.items()}, flush=True)
    return found


async def _submit(service: Grown, name: str, workload: Workload) -> float:
    """The median time of a 202, in milliseconds: validated, committed, rung for."""
    connection, spent = Connection(service.port), []
    for place in range(ALONE):
        request = Polling().request(name, workload.rows[place % len(workload.rows)])
        start = time.perf_counter()
        reply = await connection.ask(request)
        spent.append((time.perf_counter() - start) * 1000)
        if reply.status not in (200, 202):
            raise Refused(str(reply.status))
    connection.close()
    return percentile(spent, 0.5)


async def _read(service: Grown, name: str, workload: Workload) -> float:
    """The median time of a look at a prediction, in milliseconds."""
    connection, spent = Connection(service.port), []
    await predict(connection, Waiting(), Waiting().request(name, workload.rows[0]))
    reply = await connection.ask(Waiting().request(name, random.choice(workload.rows)))
    path = f"/api/v1/predictions/{json.loads(reply.body)['id']}/"
    for _ in range(READS):
        start = time.perf_counter()
        if (await connection.ask(get(path))).status != 200:
            raise Refused(path)
        spent.append((time.perf_counter() - start) * 1000)
    connection.close()
    return percentile(spent, 0.5)


# --- The page ---------------------------------------------------------------------------------------------------------
def page(results: Json) -> str:
    about = results["machine"]
    head = [
        "",
        "alone, p50 ms",
        "/s at 32",
        "p99 at 32, ms",
        "202, p50 ms",
        "look, p50 ms",
        "PSS, MB",
        "wrong, lost, errors",
    ]
    names = ["alone_ms", "crowd_per_second", "crowd_p99_ms", "submit_ms", "read_ms", "pss_mb"]

    def lines(part: str) -> str:
        return table(head, [[line["what"], *(significant(line[name]) for name in names), str(line["bad"])]
                            for line in results[part]])  # fmt: skip

    return f"""\
# As it grows

<!-- Written by `python -m benchmarks.growth`. -->

What a prediction costs should not depend on how many there have been.
{results["started"][:10]}, `{results["command"]}`,
at {results["revision"] or "an unknown revision"}: {about["cpu"]}, {about["cores"]} cores, {about["memory_gib"]} GiB,
{about["system"]}, Python {about["python"]}. The model is a HistGradientBoostingRegressor of ten numbers; every request
waits for its answer (`Prefer: wait`), and every answer is compared with the estimator's own. Within a table the lines
were measured one after the other on a machine that may drift: look for a trend, not for a digit.

## Predictions in the table

{lines("rows")}
## Registered models

With the defaults, on SQLite; all models are asked in turn.

{lines("models")}
## Processes of the worker

{lines("workers")}"""


if __name__ == "__main__":
    sys.exit(main())
