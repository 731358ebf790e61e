"""What is measured of one service in one round, as JSON."""

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
from benchmarks.figures import percentile
from benchmarks.load import COARSE, FINE, Pending, Refused, Target, Way, probe
from benchmarks.services.ours import Foretell, Waiting
from benchmarks.services.service import Service
from benchmarks.workloads import Workload

COLD_SECONDS = 120.0
SATURATING = 32
MOST_ALONE = 200

Json = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """How long a load lasts, and how many are asking."""

    seconds: float = 7.0
    crowds: Sequence[int] = (32, 256)
    lone_rows: int = 20
    settle_seconds: float = 2.0


def measure(
    kind: type[Service],
    folder: Path,
    artefacts: Path,
    workloads: Sequence[Workload],
    plan: Plan,
    say: Callable[[str], None],
) -> Json:
    """Start a service, measure it, and end it, whatever happens."""
    service = kind(folder, artefacts)
    try:
        service.prepare()
        found: Json = {"cold_start_s": _cold_start(service, workloads[0])}
        say(f"first answer after {found['cold_start_s']:.1f} s")
        _warm_up(service, workloads)
        time.sleep(plan.settle_seconds)
        found["pss_idle_mb"] = service.processes.pss_megabytes()
        if isinstance(service, Foretell):
            found["lone"] = uvloop.run(_lone_rows(service, workloads[0], plan.lone_rows))
        # Before the crowds: some services take minutes to work off what a crowd leaves behind.
        heaviest = next((workload for workload in workloads if workload.name == "rf"), workloads[-1])
        found["saturated"] = uvloop.run(_saturated(service, heaviest, plan))
        found["workloads"] = {workload.name: _workload(service, workload, plan, say) for workload in workloads}
        return found
    finally:
        service.stop()
        shutil.rmtree(folder / "var", ignore_errors=True)


def _cold_start(service: Service, workload: Workload) -> float:
    """Seconds from the start of the processes to the first right answer."""
    target = Target.of(service.port, service.ways()[0], workload)
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
    """Every process of a pool should have loaded every estimator."""
    for workload in workloads:
        target = Target.of(service.port, service.ways()[0], workload)
        uvloop.run(target.load(8, seconds=20.0, most=100))


def _workload(service: Service, workload: Workload, plan: Plan, say: Callable[[str], None]) -> Json:
    found: Json = {}
    for way in service.ways():
        before = machine.calibration()
        loads = _loads(service, way, workload, plan)
        calibration = (before + machine.calibration()) / 2
        found[way.name] = {"calibration_ms": calibration, "loads": loads}
        for crowd, cell in loads.items():
            say(f"{workload.name}, {way.name}, {crowd}: {_sentence(cell)}; machine {calibration:.0f} ms")
    return found


def _loads(service: Service, way: Way, workload: Workload, plan: Plan) -> Json:
    """Alone, alone with fine polling where there is polling, then in crowds."""
    target = Target.of(service.port, way, workload)

    def alone(pauses: Sequence[float]) -> Json:
        cell: Json = uvloop.run(target.load(1, plan.seconds, MOST_ALONE, pauses)).as_json()
        return cell

    cells = {"1": alone(COARSE)}
    if way.name == "polling":
        cells["1 fine"] = alone(FINE)
    for crowd in plan.crowds:
        uvloop.run(target.load(crowd, plan.seconds / 5))
        cells[str(crowd)] = uvloop.run(target.load(crowd, plan.seconds)).as_json()
    return cells


def _sentence(cell: Json) -> str:
    text = f"{cell['per_second']:.0f}/s, p50 {cell['p50']:.1f} ms, p99 {cell['p99']:.1f} ms"
    bad = {name: cell[name] for name in ("wrong", "lost", "errors") if cell[name]}
    return f"{text} {bad} {cell['first_error']}" if bad else text


async def _saturated(service: Service, workload: Workload, plan: Plan) -> Json:
    """A cheap page while the heaviest workload saturates the machine; then, still under load, the memory."""
    target = Target.of(service.port, service.ways()[0], workload)
    load = asyncio.create_task(target.load(SATURATING, plan.seconds + 1.0))
    await asyncio.sleep(0.5)
    spent = await probe(service.port, get(service.page), plan.seconds - 0.5)
    # Counting memory holds processes up for a moment: not while anything is timed.
    memory = await asyncio.to_thread(service.processes.pss_megabytes)
    await load
    return {"workload": workload.name, "page_ms": _summary(spent), "pss_mb": memory}


async def _lone_rows(service: Foretell, workload: Workload, count: int) -> Json:
    """The prediction's own account of its time, when nothing else is going on and nobody lingers at the bell."""
    target = Target.of(service.port, Waiting(), workload)
    connection = Connection(service.port)
    timings = []
    for place in range(count):
        await asyncio.sleep(0.5)
        reply = await connection.ask(target.requests[place])
        if isinstance(target.way.read(reply), Pending):
            continue
        timings.append(json.loads(reply.body)["timing"])
    connection.close()
    return {name: _summary([timing[name] for timing in timings]) for name in ("queued_ms", "predict_ms", "total_ms")}


def _summary(milliseconds: Sequence[float]) -> Json:
    return {f"p{share}": percentile(milliseconds, share / 100) for share in (50, 90, 99)}
