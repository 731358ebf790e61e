"""python -m benchmarks: the reference design, and whatever peers are there, beside Foretell."""

import argparse
import asyncio
import json
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks import chart, machine, report
from benchmarks.measure import Plan, measure
from benchmarks.services.ours import Foretell
from benchmarks.services.peers import PEERS
from benchmarks.services.reference import Reference
from benchmarks.services.service import Service
from benchmarks.workloads import KINDS, Workload, build
from project.env import BASE_DIR

OUT = BASE_DIR / "var" / "bench"
DOCS = BASE_DIR / "docs/reference"
ENDINGS = (signal.SIGTERM, signal.SIGINT)
ENDED = 130
ARTEFACTS = "artefacts"
QUICK = Plan(seconds=1.5, lone_rows=5, settle_seconds=0.5)


def main() -> int:
    options = _options()
    plan = QUICK if options.quick else Plan(seconds=options.seconds)
    folder = OUT / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    folder.mkdir(parents=True)
    for ending in ENDINGS:
        signal.signal(ending, _end)
    try:
        return _run(options, plan, folder)
    finally:
        # The results and the logs stay; estimators and databases can be made again.
        shutil.rmtree(folder / ARTEFACTS, ignore_errors=True)


def _run(options: argparse.Namespace, plan: Plan, folder: Path) -> int:
    results = _results(options, plan, folder)
    workloads = _workloads(options.only, folder)
    kinds, results["absent"] = _services(options.peers)
    results["services"] = {
        kind.name: {"text": kind.text, "keeps": kind.keeps, "page": kind.page, "versions": kind.versions()}
        for kind in kinds
    }
    for number in range(1 if options.quick else options.rounds):
        # Every round begins with another one, so that a drift of the machine favours nobody.
        start = number % len(kinds)
        round_ = _round(number + 1, [*kinds[start:], *kinds[:start]], workloads, plan, folder)
        results["rounds"].append(round_)
        (folder / "results.json").write_text(json.dumps(results, indent=1))
    is_final = not options.quick and set(options.only) == set(KINDS)
    _write(results, DOCS if is_final else folder)
    return 1 if any(Foretell.name in round_["failed"] for round_ in results["rounds"]) else 0


def _options() -> argparse.Namespace:
    names = ", ".join(PEERS)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one short round, to see that all works; figures mean nothing"
    )
    parser.add_argument("--only", type=_names, default=list(KINDS), help=f"workloads of {', '.join(KINDS)}")
    parser.add_argument("--rounds", type=int, default=3, help="each is measured so many times, in turn (3)")
    parser.add_argument("--seconds", type=float, default=7.0, help="the length of one load (7)")
    parser.add_argument("--peers", type=_names, default=list(PEERS), help=f"of {names}, or none; needs BENCH_VENVS")
    options = parser.parse_args()
    if unknown := set(options.only) - KINDS.keys():
        parser.error(f"no such workload: {', '.join(unknown)}; there are {', '.join(KINDS)}")
    if unknown := set(options.peers) - PEERS.keys():
        parser.error(f"no such peer: {', '.join(unknown)}; there are {names}")
    return options


def _names(text: str) -> list[str]:
    return [] if text == "none" else [name.strip() for name in text.split(",")]


def _end(signum: int, frame: FrameType | None) -> None:
    """A request to end runs every `finally`, which ends what was started; a second one must not break that off."""
    for ending in ENDINGS:
        signal.signal(ending, signal.SIG_IGN)
    print(f"{signal.Signals(signum).name}: ending what was started…", flush=True)
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        sys.exit(ENDED)
    # uvloop would swallow an exit that is raised inside one of its callbacks.
    for task in asyncio.all_tasks(loop):
        task.cancel()


def _results(options: argparse.Namespace, plan: Plan, folder: Path) -> dict[str, Any]:
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python -m benchmarks", *sys.argv[1:]]),
        "quick": options.quick,
        "seconds": plan.seconds,
        "crowds": list(plan.crowds),
        "revision": machine.revision(BASE_DIR),
        "machine": machine.describe(folder),
        "rounds": [],
    }


def _workloads(names: Sequence[str], folder: Path) -> list[Workload]:
    artefacts = folder / ARTEFACTS
    artefacts.mkdir()
    return [build(name, artefacts, artefacts / "models") for name in names]


def _services(peers: Sequence[str]) -> tuple[list[type[Service]], list[str]]:
    """What is measured, and the names of the peers that are not there."""
    present = [PEERS[name] for name in peers if PEERS[name].is_there()]
    absent = [name for name in PEERS if PEERS[name] not in present]
    return [Foretell, Reference, *present], absent


def _round(
    number: int,
    kinds: Sequence[type[Service]],
    workloads: Sequence[Workload],
    plan: Plan,
    folder: Path,
) -> dict[str, Any]:
    """One that fails does not take the others with it; what failed is told."""
    round_: dict[str, Any] = {"services": {}, "failed": {}}
    for kind in kinds:

        def say(text: str, name: str = kind.name) -> None:
            print(f"{time.strftime('%H:%M:%S')} round {number}, {name}: {text}", flush=True)

        place = folder / f"{kind.name}-{number}"
        try:
            round_["services"][kind.name] = measure(kind, place, folder / ARTEFACTS, workloads, plan, say)
        except Exception as error:  # noqa: BLE001 - whatever it was, it is told, and the others are measured
            round_["failed"][kind.name] = str(error) or repr(error)
            say(f"failed: {error!r}")
    return round_


def _write(results: dict[str, Any], folder: Path) -> None:
    page, picture = folder / "performance.md", folder / "performance.svg"
    page.write_text(report.page(results))
    picture.write_text(chart.draw(report.throughputs(results)))
    print(f"Written: {page}, {picture}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except asyncio.CancelledError:
        if signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
            raise  # nobody asked for an end
        sys.exit(ENDED)
