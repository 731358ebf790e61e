"""Measures one service in one round. The result is JSON."""

import asyncio
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from benchmarks import machine
from benchmarks.exchange import Connection, get
from benchmarks.figures import BESIDE_CROWD, CROWD, percentile
from benchmarks.load import COARSE, FINE, Pending, Refused, RequestStyle, Target, probe
from benchmarks.services.ours import Foretell, Waiting
from benchmarks.services.service import Service
from benchmarks.workloads import Workload

COLD_SECONDS = 120.0
SATURATING = 32
MAX_SINGLE_REQUESTS = 200

Json = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """Durations and counts."""

    seconds: float = 7.0
    single_rows: int = 20
    settle_seconds: float = 2.0


def measure(
    kind: type[Service],
    folder: Path,
    artefacts: Path,
    workloads: Sequence[Workload],
    plan: Plan,
    log: Callable[[str], None],
) -> Json:
    """Start a service, measure it with those of the workloads that it takes, and stop it."""
    workloads = [workload for workload in workloads if workload.name in kind.workloads]
    service = kind(folder, artefacts)
    try:
        service.prepare()
        found: Json = {"cold_start_s": _cold_start(service, workloads[0])}
        log(f"first answer after {found['cold_start_s']:.1f} s")
        _warm_up(service, workloads)
        time.sleep(plan.settle_seconds)
        found["pss_idle_mb"] = service.processes.pss_megabytes()
        if kind is Foretell:
            found["single"] = uvloop.run(_single_rows(service, workloads[0], plan.single_rows))
        # Measured before the loads: some services need minutes to finish the requests of a load.
        heaviest = next((workload for workload in workloads if workload.name == "rf"), workloads[-1])
        found["saturated"] = uvloop.run(_saturated(service, heaviest, plan))
        found["workloads"] = {workload.name: _workload(service, workload, plan, log) for workload in workloads}
        return found
    finally:
        service.stop()
        shutil.rmtree(folder / "var", ignore_errors=True)


def _cold_start(service: Service, workload: Workload) -> float:
    """Seconds from the start of the processes to the first right answer."""
    target = Target.create(service.port, service.styles()[0], workload)
    start = time.perf_counter()
    service.start()
    last: Exception | None = None
    while (elapsed := time.perf_counter() - start) < COLD_SECONDS:
        try:
            uvloop.run(target.first_answer())
        except (Refused, OSError, ValueError) as error:
            last = error
            time.sleep(0.05)
        else:
            return time.perf_counter() - start
        if not service.processes.all_alive():
            raise RuntimeError(f"a process ended after {elapsed:.0f} s; its log is in {service.folder}")
    raise RuntimeError(f"no right answer in {COLD_SECONDS:g} s: {last!r}")


def _warm_up(service: Service, workloads: Sequence[Workload]) -> None:
    """Send requests until each process of a pool has probably loaded each estimator."""
    for workload in workloads:
        target = Target.create(service.port, service.styles()[0], workload)
        uvloop.run(target.load(8, seconds=20.0, most=service.warm_up_requests))


def _workload(service: Service, workload: Workload, plan: Plan, log: Callable[[str], None]) -> Json:
    found: Json = {}
    for style in service.styles():
        before = machine.calibration()
        loads = _loads(service, style, workload, plan)
        calibration = (before + machine.calibration()) / 2
        found[style.name] = {"calibration_ms": calibration, "loads": loads}
        for connections, cell in loads.items():
            log(f"{workload.name}, {style.name}, {connections}: {_sentence(cell)}; machine {calibration:.0f} ms")
    return found


def _loads(service: Service, style: RequestStyle, workload: Workload, plan: Plan) -> Json:
    """Load with one connection (also with fine polling, if the style polls), then with many."""
    target = Target.create(service.port, style, workload)

    def single(pauses: Sequence[float]) -> Json:
        cell: Json = uvloop.run(target.load(1, plan.seconds, MAX_SINGLE_REQUESTS, pauses)).as_json()
        return cell

    cells = {"1": single(COARSE)}
    if style.name == "polling":
        cells["1 fine"] = single(FINE)
    for connections in service.connections:
        cells[str(connections)] = _load(target, connections, plan)
    if isinstance(service, Foretell) and (workload.name, style.name) == (service.crowded, Waiting.name):
        cells |= _crowd(target, plan)
    return cells


def _load(target: Target, connections: int, plan: Plan, per_second: float | None = None) -> Json:
    uvloop.run(target.load(connections, plan.seconds / 5, per_second=per_second))
    cell: Json = uvloop.run(target.load(connections, plan.seconds, per_second=per_second)).as_json()
    return cell


def _crowd(target: Target, plan: Plan) -> Json:
    """Load with many connections, without pauses and with the same rate for each number of connections.

    Without pauses the time to an answer grows with the connections, since the rate of the service has a limit. The
    paced loads have half of this rate.
    """
    cells = {str(CROWD): _load(target, CROWD, plan)}
    pace = cells[str(CROWD)]["per_second"] / 2
    return cells | {f"{count} paced": _load(target, count, plan, pace) for count in (BESIDE_CROWD, CROWD)}


def _sentence(cell: Json) -> str:
    text = f"{cell['per_second']:.0f}/s, p50 {cell['p50']:.1f} ms, p99 {cell['p99']:.1f} ms"
    bad = {name: cell[name] for name in ("wrong", "lost", "errors") if cell[name]}
    return f"{text} {bad} {cell['first_error']}" if bad else text


async def _saturated(service: Service, workload: Workload, plan: Plan) -> Json:
    """Time a cheap page while the heaviest workload saturates the machine; then measure the memory under load."""
    target = Target.create(service.port, service.styles()[0], workload)
    load = asyncio.create_task(target.load(SATURATING, plan.seconds + 1.0))
    await asyncio.sleep(0.5)
    spent = await probe(service.port, get(service.page), plan.seconds - 0.5)
    # Reading the memory maps pauses the processes for a moment, so it follows the timing.
    memory = await asyncio.to_thread(service.processes.pss_megabytes)
    await load
    return {"workload": workload.name, "page_ms": _summary(spent), "pss_mb": memory}


async def _single_rows(service: Service, workload: Workload, count: int) -> Json:
    """The `timing` of single predictions on an idle stack. The pause before each ends the wait of idle workers."""
    target = Target.create(service.port, Waiting(), workload)
    connection = Connection(service.port)
    timings = []
    for place in range(count):
        await asyncio.sleep(0.5)
        reply = await connection.send(target.requests[place])
        if isinstance(target.style.read(reply), Pending):
            continue
        timings.append(json.loads(reply.body)["timing"])
    connection.close()
    return {name: _summary([timing[name] for timing in timings]) for name in ("queued_ms", "predict_ms", "total_ms")}


def _summary(milliseconds: Sequence[float]) -> Json:
    return {f"p{share}": percentile(milliseconds, share / 100) for share in (50, 90, 99)}
