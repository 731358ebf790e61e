"""`python -m benchmarks.files`: compare the scoring of a large file, end to end, with pandas in one process.

Foretell: the file is sent over HTTP to the real processes, scored on the bulk lane, and its results are read back.
Pandas: `read_csv`, `predict_proba` and `to_csv` of the same file, without the time of its imports. The predicted class
is compared line by line.
"""

import argparse
import csv
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from project.env import BASE_DIR
from tests.support.stack import Stack, prepared

PANDAS = """
import sys, time, warnings
import joblib, pandas as pd
import sklearn.ensemble, sklearn.linear_model, sklearn.pipeline
estimator = joblib.load(sys.argv[1])
begin = time.perf_counter()
frame = pd.read_csv(sys.argv[2])
values = frame.to_numpy() if not hasattr(estimator, "feature_names_in_") else frame
shares = estimator.predict_proba(values)
frame["prediction"] = estimator.classes_[shares.argmax(axis=1)]
for place, name in enumerate(estimator.classes_):
    frame[f"probability_{name}"] = shares[:, place]
frame.to_csv(sys.argv[3], index=False)
print(time.perf_counter() - begin)
"""
# Seconds that the HTTP client waits for the server, at most.
LONGEST = 3600.0


@dataclass(frozen=True)
class Measured:
    seconds: float
    send_seconds: float
    read_seconds: float
    rows_per_second: float
    most_megabytes: float


def write_rows(path: Path, manifest: dict[str, Any], rows: int) -> None:
    """Random values within the training range, written with five digits."""
    source = random.Random(7)
    names = [feature["name"] for feature in manifest["signature"]]
    seen = [manifest["profile"]["features"][name] for name in names]
    with path.open("w", newline="") as file:
        csv.writer(file).writerow(names)
        for _ in range(rows):
            file.write(",".join(f"{source.uniform(known['minimum'], known['maximum']):.5g}" for known in seen) + "\n")


def with_pandas(version: Path, source: Path, out: Path) -> float:
    command = [sys.executable, "-c", PANDAS, str(version / "estimator.joblib"), str(source), str(out)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def with_foretell(stack: Stack, model: str, source: Path, out: Path) -> Measured:
    begin = time.perf_counter()
    with source.open("rb") as file, httpx.Client(base_url=str(stack.client.base_url), timeout=LONGEST) as client:
        job = client.post("/api/v1/batches/", data={"model": model}, files={"file": (source.name, file)}).json()
        sent = time.perf_counter()
        most = 0.0
        while job["status"] in ("queued", "running"):
            time.sleep(0.5)
            most = max(most, _megabytes(stack))
            job = client.get(job["urls"]["self"]).json()
        if job["status"] != "finished" or job["bad"]:
            raise RuntimeError(f"the job ended as {job['status']}, with {job['bad']} bad rows: {job['error']}")
        ended = time.perf_counter()
        with client.stream("GET", job["urls"]["results"]) as answer, out.open("wb") as results:
            for piece in answer.iter_bytes():
                results.write(piece)
    done = time.perf_counter()
    return Measured(done - begin, sent - begin, done - ended, job["rows_per_second"], most)


def _megabytes(stack: Stack) -> float:
    """The resident memory of the largest of the bulk worker's processes."""
    process = stack["bulk"].process
    return float(max(one.memory_info().rss for one in [process, *process.children(recursive=True)]) / 1024**2)


def differences(ours: Path, theirs: Path, labels: Sequence[str], classes: Sequence[Any]) -> Iterator[int]:
    """The numbers of lines whose class or order differs. Probabilities are not compared: they may round otherwise."""
    known = dict(zip(map(str, classes), labels, strict=True))
    with ours.open(newline="") as one, theirs.open(newline="") as other:
        for line, (own, their) in enumerate(zip(csv.DictReader(one), csv.DictReader(other), strict=True), 2):
            first = next(iter(own))
            if own["prediction"] != known[their["prediction"]] or float(own[first]) != float(their[first]):
                yield line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--model", default="breast-cancer")
    parser.add_argument("--models", type=Path, default=BASE_DIR / "ml_models", help="with a trained version 1")
    asked = parser.parse_args()
    version = asked.models / asked.model / "versions/1"
    manifest = json.loads((version / "version.json").read_bytes())
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        source, ours, theirs = folder / "rows.csv", folder / "ours.csv", folder / "pandas.csv"
        write_rows(source, manifest, asked.rows)
        (folder / "static").mkdir()
        pandas = with_pandas(version, source, theirs)
        with prepared(asked.models, folder / "static", DEBUG="false") as stack:
            stack.start("redis", "worker", "bulk", "keeper", "web")
            measured = with_foretell(stack, asked.model, source, ours)
        wrong = list(differences(ours, theirs, manifest["labels"], manifest["classes"]))
        print(f"{asked.model}: {asked.rows} rows, {source.stat().st_size / 1024**2:.0f} MB")
        print(f"pandas, in one process: {pandas:.1f} s")
        print(
            f"foretell, end to end: {measured.seconds:.1f} s ({measured.send_seconds:.1f} s to send,"
            f" {measured.read_seconds:.1f} s to read back, {measured.rows_per_second:.0f} rows a second)"
        )
        print(f"ratio: {measured.seconds / pandas:.2f}; bulk worker: {measured.most_megabytes:.0f} MB at most")
        print(f"lines that differ: {len(wrong)}{f', the first is {wrong[0]}' if wrong else ''}")


if __name__ == "__main__":
    main()
