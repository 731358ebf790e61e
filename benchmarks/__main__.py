"""python -m benchmarks: compare Foretell with the reference design and with the installed peers."""

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

from benchmarks import chart, goals, machine, report
from benchmarks.measure import Plan, measure
from benchmarks.services import registry
from benchmarks.services.ours import Foretell
from benchmarks.services.service import Service
from benchmarks.workloads import KINDS, Workload, build
from project.env import BASE_DIR

OUT = BASE_DIR / "var" / "bench"
DOCS = BASE_DIR / "docs/reference"
SIGNALS = (signal.SIGTERM, signal.SIGINT)
INTERRUPTED = 130
ARTEFACTS = "artefacts"
QUICK = Plan(seconds=1.5, single_rows=5, settle_seconds=0.5)


def main() -> int:
    options = _options()
    plan = QUICK if options.quick else Plan(seconds=options.seconds)
    folder = OUT / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    folder.mkdir(parents=True)
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    try:
        return _run(options, plan, folder)
    finally:
        # Keep the results and the logs. Estimators and databases can be rebuilt.
        shutil.rmtree(folder / ARTEFACTS, ignore_errors=True)


def _run(options: argparse.Namespace, plan: Plan, folder: Path) -> int:
    results = _results(options, plan, folder)
    workloads = _workloads(options.only, folder)
    kinds, results["absent"] = registry.chosen(options.peers, options.only)
    results["services"] = {kind.name: _about(kind) for kind in kinds}
    rounds = 1 if options.quick else options.rounds
    for number in range(rounds):
        # Each round starts with another service, so that a drift of the machine favours none of them.
        start = number * len(kinds) // rounds
        round_ = _round(number + 1, [*kinds[start:], *kinds[:start]], workloads, plan, folder)
        results["rounds"].append(round_)
        (folder / "results.json").write_text(json.dumps(results, indent=1))
    is_whole = set(options.only) == set(KINDS) and set(options.peers) == set(registry.OPTIONAL)
    is_final = is_whole and not options.quick
    _write(results, DOCS if is_final else folder)
    return 1 if any(Foretell.name in round_["failed"] for round_ in results["rounds"]) else 0


def _options() -> argparse.Namespace:
    names = ", ".join(registry.OPTIONAL)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one short round to test the setup; its figures mean nothing"
    )
    parser.add_argument("--only", type=_names, default=list(KINDS), help=f"workloads to run, of: {', '.join(KINDS)}")
    parser.add_argument("--rounds", type=int, default=3, help="the number of rounds (3)")
    parser.add_argument("--seconds", type=float, default=7.0, help="the duration of one load (7)")
    parser.add_argument(
        "--peers", type=_names, default=registry.OPTIONAL, help=f"of: {names}; or none. Peers need BENCH_VENVS"
    )
    options = parser.parse_args()
    if unknown := set(options.only) - KINDS.keys():
        parser.error(f"unknown workload: {', '.join(unknown)}; choose from {', '.join(KINDS)}")
    if unknown := set(options.peers) - set(registry.OPTIONAL):
        parser.error(f"unknown peer: {', '.join(unknown)}; choose from {names}")
    return options


def _names(text: str) -> list[str]:
    return [] if text == "none" else [name.strip() for name in text.split(",")]


def _interrupt(signum: int, frame: FrameType | None) -> None:
    """Exit through every `finally`, which stops the started processes. A second signal must not interrupt that."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    print(f"{signal.Signals(signum).name}: stopping the started processes…", flush=True)
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        sys.exit(INTERRUPTED)
    # uvloop suppresses a SystemExit that is raised in one of its callbacks.
    for task in asyncio.all_tasks(loop):
        task.cancel()


def _results(options: argparse.Namespace, plan: Plan, folder: Path) -> dict[str, Any]:
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python -m benchmarks", *sys.argv[1:]]),
        "quick": options.quick,
        "seconds": plan.seconds,
        "revision": machine.revision(BASE_DIR),
        "machine": machine.describe(folder),
        "rounds": [],
    }


def _workloads(names: Sequence[str], folder: Path) -> list[Workload]:
    artefacts = folder / ARTEFACTS
    artefacts.mkdir()
    return [build(name, artefacts, artefacts / "models") for name in names]


def _about(kind: type[Service]) -> dict[str, Any]:
    return {
        "text": kind.text, "keeps": kind.keeps, "gives": kind.gives, "page": kind.page, "versions": kind.versions(),
    }  # fmt: skip


def _round(
    number: int,
    kinds: Sequence[type[Service]],
    workloads: Sequence[Workload],
    plan: Plan,
    folder: Path,
) -> dict[str, Any]:
    """Measure each service once. A failure is recorded and does not stop the round."""
    round_: dict[str, Any] = {"services": {}, "failed": {}}
    for kind in kinds:

        def log(text: str, name: str = kind.name) -> None:
            print(f"{time.strftime('%H:%M:%S')} round {number}, {name}: {text}", flush=True)

        place = folder / f"{kind.name}-{number}"
        try:
            round_["services"][kind.name] = measure(kind, place, folder / ARTEFACTS, workloads, plan, log)
        except Exception as error:  # noqa: BLE001 - any failure is recorded, and the next service is measured
            round_["failed"][kind.name] = str(error) or repr(error)
            log(f"failed: {error!r}")
    return round_


def _write(results: dict[str, Any], folder: Path) -> None:
    page, picture = folder / "performance.md", folder / "performance.svg"
    page.write_text(report.page(results))
    picture.write_text(chart.draw(report.throughputs(results)))
    print(goals.table_of(results))
    print(f"Written: {page}, {picture}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except asyncio.CancelledError:
        if signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
            raise  # no signal caused it
        sys.exit(INTERRUPTED)
