"""`python -m tests.chaos.soak`: run all processes at half load, and print whether anything grows.

Each process is sampled every few seconds: memory (USS), open descriptors and threads; the clients measure the latency.
A slope is that of the least-squares line through the samples after the warm-up.
"""

import argparse
import logging
import os
import signal
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import django
import psutil

from tests.chaos.ledger import Ledger
from tests.chaos.load import Load
from tests.chaos.stage import LINES, Stage, train
from tests.support.stack import Stack

MEASURE_SECONDS = 20.0
SAMPLE_SECONDS = 5.0
# Caches fill, and connections are opened, in this part of the run.
WARM_UP = 1 / 3
# A process grows if it gains more than this in a minute.
LIMITS = {"MB": 0.2, "descriptors": 0.2, "threads": 0.1}
MEASURES = ("MB", "descriptors", "threads")

# (minutes since the start, value)
Series = list[tuple[float, float]]


@dataclass
class Samples:
    """The series of each measure, by process and by the name of the measure."""

    of: defaultdict[str, defaultdict[str, Series]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def take(self, stack: Stack, minutes: float) -> None:
        for name, process in _processes(stack):
            try:
                values = (process.memory_full_info().uss / 2**20, process.num_fds(), process.num_threads())
            except psutil.NoSuchProcess:
                continue
            for measure, value in zip(MEASURES, values, strict=True):
                self.of[name][measure].append((minutes, value))


def slope(series: Series) -> float:
    """The growth per minute after the warm-up; 0 for a process that lived too short a time."""
    late = series[int(len(series) * WARM_UP) :]
    if len(late) < 3:
        return 0.0
    return statistics.linear_regression([at for at, _ in late], [value for _, value in late]).slope


def _processes(stack: Stack) -> Iterator[tuple[str, psutil.Process]]:
    """The main process of each line and its children, with a name that stays the same."""
    for name, line in stack.lines.items():
        if line.is_running:
            main = line.process
            yield name, main
            for child in main.children(recursive=True):
                yield f"{name}/{child.pid}", child


def table(samples: Samples) -> tuple[str, list[str]]:
    """A table of all processes, and the processes that grow."""
    lines, growing = [], []
    lines.append("| process | MB first | MB last | MB/min | descriptors/min | threads/min |")
    lines.append("|---|--:|--:|--:|--:|--:|")
    for name, series in sorted(samples.of.items()):
        slopes = {measure: slope(series[measure]) for measure in MEASURES}
        memory = series["MB"]
        numbers = " | ".join(f"{slopes[measure]:+.2f}" for measure in MEASURES)
        lines.append(f"| {name} | {memory[0][1]:.1f} | {memory[-1][1]:.1f} | {numbers} |")
        growing += [
            f"{name}: {measure} {slopes[measure]:+.2f}/min" for measure in MEASURES if slopes[measure] > LIMITS[measure]
        ]
    return "\n".join(lines), growing


def latencies(ledger: Ledger, began: float) -> str:
    """The 50th and 99th percentile of each minute, and the slope of the median."""
    by_minute: defaultdict[int, list[float]] = defaultdict(list)
    for at, seconds in ledger.latencies:
        by_minute[int((at - began) // 60)].append(seconds * 1000)
    medians = [(float(minute), statistics.median(values)) for minute, values in sorted(by_minute.items())]
    late = sorted(
        value for minute, values in by_minute.items() if minute >= len(by_minute) * WARM_UP for value in values
    )
    p99 = late[int(len(late) * 0.99)] if late else 0.0
    median = statistics.median(late) if late else 0.0
    return f"latency: median {median:.1f} ms, p99 {p99:.1f} ms, slope of the median {slope(medians):+.2f} ms/min"


def capacity(stack: Stack, stage: Stage) -> float:
    """Rows per second that are accepted while the clients submit without a pause."""
    ledger = Ledger()
    with Load(str(stack.client.base_url), ledger, stage.numbers, rate=1e6, seconds=0.0):
        time.sleep(MEASURE_SECONDS)
    return len(ledger.accepted) / MEASURE_SECONDS


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, help="rows per second; the default is half of what is measured first")
    options = parser.parse_args(arguments)
    # This program creates its own database. It must not use the one that the shell names.
    os.environ.pop("DATABASE_URL", None)
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    django.setup()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="foretell-soak-") as folder:
        models, collected = train(Path(folder) / "models", all_models=False), Path(folder) / "static"
        collected.mkdir()
        stage = Stage("sqlite", models, collected, seed=1, quick=False)
        with stage.stack(MAX_QUEUED_PER_CALLER=100_000, MAX_QUEUED=100_000) as stack:
            stack.start(*LINES)
            return soak(stage, stack, options.minutes, options.rate or capacity(stack, stage) / 2)


def soak(stage: Stage, stack: Stack, minutes: float, rate: float) -> int:
    ledger, samples, began = Ledger(), Samples(), time.time()
    print(f"{rate:.0f} rows per second for {minutes:g} minutes", flush=True)
    with Load(str(stack.client.base_url), ledger, stage.numbers, rate, seconds=0.0):
        while (passed := (time.time() - began) / 60) < minutes:
            samples.take(stack, passed)
            time.sleep(SAMPLE_SECONDS)
    text, growing = table(samples)
    print(f"\n{text}\n\n{latencies(ledger, began)}\n{len(ledger.accepted)} accepted, {ledger.refused} refused")
    print("grows: " + "; ".join(growing) if growing else "flat", flush=True)
    return 1 if growing else 0


if __name__ == "__main__":
    sys.exit(main())
