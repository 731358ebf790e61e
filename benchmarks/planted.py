"""`python -m benchmarks.planted`: score and correct a large file with planted faults, and compare it with a reference.

The file is sent over HTTP to the real processes. Its file of bad rows must name exactly the planted lines, columns and
codes. When these rows are sent again without their faults, every row must have a prediction, in the order of the file.
"""

import argparse
import csv
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import httpx

from predictions.serving.schema.signature import Signature
from project.env import BASE_DIR
from tests.support import planted
from tests.support.stack import Stack, prepared

# Seconds that the HTTP client waits for the server, at most.
LONGEST = 3600.0
DIFFERENCES_SHOWN = 10


class Job:
    """One file at a running Foretell."""

    def __init__(self, stack: Stack, model: str, source: Path) -> None:
        self._client = httpx.Client(base_url=str(stack.client.base_url), timeout=LONGEST)
        with source.open("rb") as file:
            sent = self._client.post("/api/v1/batches/", data={"model": model}, files={"file": ("rows.csv", file)})
        self.state: dict[str, Any] = sent.raise_for_status().json()

    def wait(self) -> None:
        while self.state["status"] in ("queued", "running"):
            time.sleep(0.5)
            self.state = self._client.get(self.state["urls"]["self"]).raise_for_status().json()

    def correct(self, content: Path) -> None:
        with content.open("rb") as file:
            sent = self._client.post(self.state["urls"]["self"] + "corrections/", files={"file": ("rows.csv", file)})
        self.state = sent.raise_for_status().json()

    def records(self, which: str, folder: Path) -> Iterator[dict[str, str]]:
        """The rows of a download, which is first written to the disk."""
        path = folder / f"{which}.csv"
        with self._client.stream("GET", self.state["urls"]["self"] + f"{which}/") as answer, path.open("wb") as file:
            answer.raise_for_status()
            for piece in answer.iter_bytes():
                file.write(piece)
        with path.open(newline="") as text:
            yield from csv.DictReader(text)


def differences(job: Job, reference: planted.Reference, folder: Path) -> list[str]:
    """The differences between the file of bad rows and the reference list."""
    found = planted.found_in(job.records("errors", folder))
    pairs = zip_longest(found, reference.errors)
    return [f"found {own}, planted {wanted}" for own, wanted in pairs if own != wanted]


def incomplete(job: Job, rows: int, folder: Path) -> list[str]:
    """The rows of the results without a prediction, or out of order."""
    found = [
        f"result {place} is {row}"
        for place, row in enumerate(job.records("results", folder))
        if row[planted.ROW] != str(place) or not row["prediction"] or row["error"]
    ]
    state = job.state
    return [*found, *([f"counts: {state}"] if (state["good"], state["bad"]) != (rows, 0) else [])]


def report(title: str, wrong: list[str]) -> bool:
    print(f"{title}: {'none' if not wrong else len(wrong)}", *wrong[:DIFFERENCES_SHOWN], sep="\n  ", flush=True)
    return not wrong


def check(stack: Stack, model: str, signature: Signature, rows: int, share: float, folder: Path) -> bool:
    source, sent, corrected = planted.Source(signature), folder / "rows.csv", folder / "corrected.csv"
    with sent.open("wb") as file:
        reference = planted.write(file, source, rows, share)
    with corrected.open("wb") as file:
        file.writelines(planted.corrections(source, reference))
    print(f"{model}: {rows} rows, {len(reference.rows)} bad ones with {len(reference.errors)} errors", flush=True)
    job = Job(stack, model, sent)
    job.wait()
    is_exact = report("errors that differ from the reference list", differences(job, reference, folder))
    job.correct(corrected)
    job.wait()
    return report("rows that are incomplete after the correction", incomplete(job, rows, folder)) and is_exact


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--share", type=float, default=0.01, help="of the rows, for each kind of fault")
    parser.add_argument("--model", default="diabetes", help="has numbers, a choice and whole numbers")
    parser.add_argument("--models", type=Path, default=BASE_DIR / "ml_models", help="with a trained version 1")
    asked = parser.parse_args()
    manifest = json.loads((asked.models / asked.model / "versions/1/version.json").read_bytes())
    signature = Signature.model_validate(manifest["signature"])
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "static").mkdir()
        with prepared(asked.models, folder / "static", DEBUG="false") as stack:
            stack.start("redis", "worker", "bulk", "keeper", "web")
            is_right = check(stack, asked.model, signature, asked.rows, asked.share, folder)
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
