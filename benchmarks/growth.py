"""python -m benchmarks.growth: measure with growing numbers of stored predictions, models and worker processes."""

import argparse
import json
import random
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

from benchmarks import history, machine
from benchmarks.exchange import Connection, get
from benchmarks.figures import percentile, significant
from benchmarks.load import Refused, Target, predict
from benchmarks.services.configured import ConfiguredForetell, ManyModels, OnPostgres
from benchmarks.services.ours import Polling, Waiting
from benchmarks.tables import section, table
from benchmarks.workloads import Workload, build
from project.env import BASE_DIR

PAGE = BASE_DIR / "docs/reference/growth.md"
# The section of the page that benchmarks.large_files writes.
FILES = "## Rows of a file"
OUT = BASE_DIR / "var" / "bench"
# The table holds millions of rows, so this workload has short ones: ten numbers.
WORKLOAD = "hgb"
CONNECTIONS = 32
SINGLE_REQUESTS = 150
READS = 300
KINDS: dict[str, type[ConfiguredForetell]] = {"SQLite": ConfiguredForetell, "PostgreSQL": OnPostgres}
Json = dict[str, Any]


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
            "models": [
                _models(count, name, options, folder, workload)
                for name in options.databases
                for count in options.models
            ],
            "workers": [
                _workers(count, name, options, folder, workload)
                for name in options.databases
                for count in options.workers
            ],
        }
        (folder / "results.json").write_text(json.dumps(results, indent=1))
        files = section(PAGE.read_text(), FILES)
        PAGE.write_text(page(results) + (f"\n{files}" if files else ""))
    finally:
        shutil.rmtree(artefacts, ignore_errors=True)
    return 0


def _options() -> argparse.Namespace:
    def counts(text: str) -> list[int]:
        return [int(part) for part in text.split(",") if part]

    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--rows", type=counts, default=[10_000, 1_000_000, 5_000_000])
    parser.add_argument("--databases", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--models", type=counts, default=[1, 8, 50])
    parser.add_argument("--workers", type=counts, default=[1, 2, 3, 4])
    parser.add_argument("--seconds", type=float, default=5.0, help="the duration of one load (5)")
    return parser.parse_args()


# --- Dimensions of growth -------------------------------------------------------------------------------------------
def _rows(database: str, options: argparse.Namespace, folder: Path, workload: Workload) -> Iterator[Json]:
    with _running(folder / database, KINDS[database], folder) as service:
        _warm_up(service, workload)
        for count in options.rows:
            start = time.perf_counter()
            history.fill(service.database, count)
            print(f"{database}: {count:,} predictions stored after {time.perf_counter() - start:.0f} s", flush=True)
            yield {"what": f"{count:,} predictions, {database}", **_measure(service, options, workload)}


def _models(count: int, database: str, options: argparse.Namespace, folder: Path, workload: Workload) -> Json:
    kind = ManyModels.of(count, KINDS[database])
    with _running(folder / f"{count}-models-{database}", kind, folder) as service:
        _warm_up(service, workload)
        return {
            "what": f"{count} {'model' if count == 1 else 'models'}, {database}",
            **_measure(service, options, workload),
        }


def _workers(count: int, database: str, options: argparse.Namespace, folder: Path, workload: Workload) -> Json:
    kind = KINDS[database].with_variables(WORKER_PROCESSES=str(count))
    with _running(folder / f"{count}-workers-{database}", kind, folder) as service:
        _warm_up(service, workload)
        return {"what": f"WORKER_PROCESSES={count}, {database}", **_measure(service, options, workload)}


@contextmanager
def _running(folder: Path, kind: type[ConfiguredForetell], above: Path) -> Iterator[ConfiguredForetell]:
    service = kind(folder, above / "artefacts")
    try:
        service.prepare()
        service.start()
        yield service
    finally:
        service.stop()
        shutil.rmtree(folder / "var", ignore_errors=True)


# --- Measurements ---------------------------------------------------------------------------------------------------
def _target(service: ConfiguredForetell, workload: Workload) -> Target:
    return Target.create(service.port, service.styles()[0], workload)


def _warm_up(service: ConfiguredForetell, workload: Workload) -> None:
    until = time.monotonic() + 120
    target = _target(service, workload)
    while True:
        try:
            uvloop.run(target.first_answer())
            break
        except (Refused, OSError, ValueError):
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
    uvloop.run(target.load(8, 60.0, most=service.warm_up_requests))


def _measure(service: ConfiguredForetell, options: argparse.Namespace, workload: Workload) -> Json:
    target = _target(service, workload)
    single = uvloop.run(target.load(1, 30.0, most=SINGLE_REQUESTS))
    uvloop.run(target.load(CONNECTIONS, 1.0))
    loaded = uvloop.run(target.load(CONNECTIONS, options.seconds))
    name = service.names[0]
    found = {
        "single_ms": single.p50,
        "loaded_per_second": loaded.per_second,
        "loaded_p99_ms": loaded.p99,
        "submit_ms": uvloop.run(_submit(service, name, workload)),
        "read_ms": uvloop.run(_read(service, name, workload)),
        "pss_mb": service.processes.pss_megabytes(),
        "bad": single.wrong + single.lost + single.errors + loaded.wrong + loaded.lost + loaded.errors,
    }
    print({name: round(figure, 2) for name, figure in found.items()}, flush=True)
    return found


async def _submit(service: ConfiguredForetell, name: str, workload: Workload) -> float:
    """The median time until a 202, in milliseconds: validation, commit and notification of the worker."""
    connection, spent = Connection(service.port), []
    for place in range(SINGLE_REQUESTS):
        request = Polling().request(name, workload.rows[place % len(workload.rows)])
        start = time.perf_counter()
        reply = await connection.send(request)
        spent.append((time.perf_counter() - start) * 1000)
        if reply.status not in (200, 202):
            raise Refused(str(reply.status))
    connection.close()
    return percentile(spent, 0.5)


async def _read(service: ConfiguredForetell, name: str, workload: Workload) -> float:
    """The median time of a GET of a finished prediction, in milliseconds."""
    connection, spent = Connection(service.port), []
    await predict(connection, Waiting(), Waiting().request(name, workload.rows[0]))
    reply = await connection.send(Waiting().request(name, random.choice(workload.rows)))
    path = f"/api/v1/predictions/{json.loads(reply.body)['id']}/"
    for _ in range(READS):
        start = time.perf_counter()
        if (await connection.send(get(path))).status != 200:
            raise Refused(path)
        spent.append((time.perf_counter() - start) * 1000)
    connection.close()
    return percentile(spent, 0.5)


# --- The page -------------------------------------------------------------------------------------------------------
def page(results: Json) -> str:
    about = results["machine"]
    return f"""\
# Growth

<!-- Written by `python -m benchmarks.growth`. -->

The cost of a prediction should not depend on the number of stored predictions.
{results["started"][:10]}, `{results["command"]}`,
at {results["revision"] or "an unknown revision"}: {about["cpu"]}, {about["cores"]} cores, {about["memory_gib"]} GiB,
{about["system"]}, Python {about["python"]}. The model is a HistGradientBoostingRegressor with ten number features. Each
request waits for its answer (`Prefer: wait`), and each answer is compared with the answer of the estimator. "at 1" and
"at 32" are numbers of connections. "PSS" is the memory of all processes, without the server of PostgreSQL. The lines of
a table were measured one after the other, and the machine may drift meanwhile: trends matter, single digits do not.

## Predictions in the table

{_table(results["rows"])}
## Registered models

With the defaults. Requests go to all models in turn.

{_table(results["models"])}
## Worker processes

{_table(results["workers"])}"""


_COLUMNS = {
    "single_ms": "p50 at 1, ms",
    "loaded_per_second": "/s at 32",
    "loaded_p99_ms": "p99 at 32, ms",
    "submit_ms": "202, p50 ms",
    "read_ms": "GET, p50 ms",
    "pss_mb": "PSS, MB",
}


def _table(measured: Sequence[Json]) -> str:
    rows = [[line["what"], *(significant(line[name]) for name in _COLUMNS), str(line["bad"])] for line in measured]
    return table(["", *_COLUMNS.values(), "wrong, lost, errors"], rows)


if __name__ == "__main__":
    sys.exit(main())
