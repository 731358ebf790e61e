"""`python -m benchmarks.large_files growth | memory | forms`: measure the cost of large files.

growth: seconds and memory from 10,000 rows to 5,000,000, and the table in docs/reference/growth.md.
memory: the largest resident memory of `manage.py score` and of the bulk worker, for a file of two gigabytes.
forms: the 95th percentile of single predictions while a file is scored, and while none is.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx

from benchmarks import machine
from benchmarks.figures import percentile, significant
from benchmarks.files import Measured, with_foretell, write_rows
from benchmarks.growth import FILES, PAGE
from benchmarks.tables import replace_section, table
from project.env import BASE_DIR
from tests.support.stack import Stack, prepared

COUNTS = [10_000, 100_000, 1_000_000, 5_000_000]
HEAD = ["", "seconds", "µs a row", "bulk worker, MB"]
# Characters of an extra column that is not a feature. It makes a file large without many rows.
PADDING = 1000
SINGLE_REQUESTS = 400
BETWEEN_SECONDS = 0.05
IRIS = {"sepal length (cm)": 5.1, "sepal width (cm)": 3.5, "petal length (cm)": 1.4, "petal width (cm)": 0.2}


@contextmanager
def running(models: Path, folder: Path) -> Iterator[Stack]:
    (folder / "static").mkdir(exist_ok=True)
    with prepared(models, folder / "static", place=folder, DEBUG="false", BATCH_MEGABYTES=4096) as stack:
        stack.start("redis", "worker", "bulk", "keeper", "web")
        yield stack


def manifest_of(asked: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((asked.models / asked.model / "versions/1/version.json").read_bytes())
    return found


# --- Growth -----------------------------------------------------------------------------------------------------------
def growth(asked: argparse.Namespace, folder: Path) -> None:
    rows = []
    with running(asked.models, folder) as stack:
        for count in asked.rows:
            source = folder / "rows.csv"
            write_rows(source, manifest_of(asked), count)
            measured = with_foretell(stack, asked.model, source, folder / "out.csv")
            rows.append(_line(count, measured))
            print(*rows[-1], sep=" | ", flush=True)
    if asked.write:
        replace_section(PAGE, FILES, f"{_introduction(asked, folder)}\n\n{table(HEAD, rows)}")


def _line(count: int, measured: Measured) -> list[str]:
    seconds = measured.seconds
    per_row = seconds / count * 1e6
    return [f"{count:,} rows", significant(seconds, 3), significant(per_row, 3), f"{measured.most_megabytes:.0f}"]


def _introduction(asked: argparse.Namespace, folder: Path) -> str:
    known = machine.describe(folder)
    return (
        f"From sending a file for `{asked.model}` to having its results, with the default processes on SQLite.\n"
        f"{datetime.now(UTC):%Y-%m-%d}, `python -m benchmarks.large_files growth --write`, at"
        f" {machine.revision(BASE_DIR)}:\n{known['cpu']}, {known['cores']} cores, {known['memory_gib']} GiB,"
        f" {known['system']}, Python {known['python']}; load {os.getloadavg()[1]:.1f} in the last five minutes."
    )


# --- Memory -----------------------------------------------------------------------------------------------------------
def memory(asked: argparse.Namespace, folder: Path) -> None:
    source = folder / "rows.csv"
    write_padded(source, manifest_of(asked), int(asked.gigabytes * 1024**3))
    print(f"{source.stat().st_size / 1024**3:.2f} GB", flush=True)
    with running(asked.models, folder) as stack:
        command = [sys.executable, "manage.py", "score", asked.model, str(source), "-o", "-"]
        seconds, megabytes = peak_of(command, stack.env)
        print(f"manage.py score: {seconds:.0f} s, {megabytes:.0f} MB at most", flush=True)
        measured = with_foretell(stack, asked.model, source, Path(os.devnull))
        print(f"job: {measured.seconds:.0f} s; bulk worker: {measured.most_megabytes:.0f} MB at most")


def write_padded(path: Path, manifest: dict[str, Any], size: int) -> None:
    few = path.with_name("few.csv")
    write_rows(few, manifest, 10_000)
    head, *lines = few.read_text().splitlines()
    source = random.Random(3)
    words = ["".join(source.choices("abcdefgh ", k=PADDING)) for _ in range(100)]
    block = "".join(f"{line},{source.choice(words)}\n" for line in lines)
    with path.open("w") as file:
        file.write(f"{head},padding\n")
        while file.tell() < size:
            file.write(block)


def peak_of(command: Sequence[str], env: Any) -> tuple[float, float]:
    """Run a command. Returns its seconds, and its largest resident memory in MB."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, cwd=BASE_DIR, env=env, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with {status}")
    return time.perf_counter() - begin, used.ru_maxrss / 1024


# --- Forms ------------------------------------------------------------------------------------------------------------
def forms(asked: argparse.Namespace, folder: Path) -> None:
    source = folder / "rows.csv"
    write_rows(source, manifest_of(asked), asked.rows[-1] if asked.rows != COUNTS else 1_000_000)
    with running(asked.models, folder) as stack:
        milliseconds(stack, Event(), 50)
        idle = milliseconds(stack, Event(), SINGLE_REQUESTS)
        busy = _while_scoring(stack, lambda: with_foretell(stack, asked.model, source, folder / "out.csv"))
        again = milliseconds(stack, Event(), SINGLE_REQUESTS)
    before, during = percentile([*idle, *again], 0.95), percentile(busy, 0.95)
    print(
        f"p95 of single predictions: idle {before:.1f} ms, while a file is scored {during:.1f} ms ({len(busy)} asked)"
    )
    print(f"ratio: {during / before:.2f}")


def _while_scoring(stack: Stack, work: Callable[[], Measured]) -> list[float]:
    ended, found = Event(), list[float]()
    asking = Thread(target=lambda: found.extend(milliseconds(stack, ended)))
    asking.start()
    try:
        work()
    finally:
        ended.set()
        asking.join()
    return found


def milliseconds(stack: Stack, ended: Event, most: int | None = None) -> list[float]:
    """The times of single predictions, requested one after the other with a pause, until `most` or until `ended`."""
    found: list[float] = []
    with httpx.Client(base_url=str(stack.client.base_url), timeout=60) as client:
        while not ended.wait(BETWEEN_SECONDS) and len(found) != most:
            begin = time.perf_counter()
            body = client.post(
                "/api/v1/models/iris/predictions/", json={"features": IRIS}, headers={"Prefer": "wait=20"}
            ).json()
            found.append((time.perf_counter() - begin) * 1000)
            if body["status"] != "succeeded":
                raise RuntimeError(f"a prediction was not answered: {body}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_files", description=__doc__)
    parser.add_argument("what", choices=["growth", "memory", "forms"])
    parser.add_argument("--rows", type=lambda text: [int(part) for part in text.split(",")], default=COUNTS)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--model", default="breast-cancer")
    parser.add_argument("--models", type=Path, default=BASE_DIR / "ml_models", help="with a trained version 1")
    parser.add_argument("--write", action="store_true", help="write the table of growth into the docs")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        {"growth": growth, "memory": memory, "forms": forms}[asked.what](asked, Path(place))


if __name__ == "__main__":
    main()
