"""python -m benchmarks.path: list the functions of this repository that one prediction calls, by file.

Three paths are recorded in real processes: a form POST until its result, an API POST with `Prefer: wait`, and a claim
in the worker. Each path is recorded several times, directly after a warm-up. A function counts if most recordings
contain it: this leaves out timers that fired during some of them.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.services.ours import Foretell
from benchmarks.workloads import Workload, build
from project.env import BASE_DIR

WORKLOAD = "lr"
WARM_UPS = 30
# With this many recordings, the work that a process does once a second falls into a minority of them.
RECORDINGS = 41
# The keeper is left out: its canaries call the same functions at other times.
LINES = ("redis", "web", "worker")
# The maximum number of functions and of files of each path: docs/decisions/0040-the-path-of-a-prediction-is-counted.md.
BOUNDS = {"form": (230, 54), "api": (160, 39), "claim": (70, 21)}
TITLES = {
    "form": "a form POST until its result, in the web process",
    "api": "an API POST with Prefer: wait, in the web process",
    "claim": "a claim, in the worker",
}

FunctionsByFile = Mapping[str, set[str]]


class Recorded(Foretell):
    """Foretell with a recorder of calls in each process."""

    def environment(self) -> Mapping[str, str]:
        return {
            **super().environment(),
            "PYTHONPATH": f"{BASE_DIR / 'benchmarks/recorder'}:{BASE_DIR}",
            "RECORD_ROOT": str(BASE_DIR),
            "RECORD_EPOCH": str(self.epoch_file),
            "RECORD_LOG": str(self.log),
        }

    @property
    def epoch_file(self) -> Path:
        return self.folder / "epoch"

    @property
    def log(self) -> Path:
        return self.folder / "calls.log"

    def start(self) -> None:
        self.epoch_file.write_bytes(b"\0")
        self.log.touch()
        self.start_lines(LINES)

    @contextmanager
    def recording(self, epoch: int) -> Iterator[None]:
        self._write_epoch(epoch)
        yield
        # After the answer has arrived, the worker waits a moment for more work, and ends its task. Work that a process
        # does once a second is recorded too if it falls into this time.
        time.sleep(0.15)
        self._write_epoch(0)

    def _write_epoch(self, epoch: int) -> None:
        with self.epoch_file.open("r+b") as file:  # a truncated file would end the processes that map it
            file.write(bytes([epoch]))

    def recorded(self, epoch: int, process: str) -> set[tuple[str, str]]:
        """The file and the name of each function in one recording."""
        lines = (line.split(" ", 3) for line in self.log.read_text().splitlines())
        return {(file, name) for number, seen_in, file, name in lines if (int(number), seen_in) == (epoch, process)}


def main() -> int:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    folder = Path(tempfile.mkdtemp(prefix="foretell-path-"))
    try:
        return _run(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path) -> int:
    artefacts = folder / "artefacts"
    artefacts.mkdir()
    workload = build(WORKLOAD, artefacts, artefacts / "models")
    stack = Recorded(folder / "stack", artefacts)
    stack.prepare()
    stack.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{stack.port}", timeout=30) as client:
            _wait_until_ready(client)
            return _report(_paths(stack, client, workload))
    finally:
        stack.stop()


def _wait_until_ready(client: httpx.Client) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            client.get("/healthz/live").raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.2)
        else:
            return
    raise TimeoutError("the stack did not answer within 60 s")


def _paths(stack: Recorded, client: httpx.Client, workload: Workload) -> dict[str, FunctionsByFile]:
    form = _paths_of(stack, _FormClient(client, workload).predict, first_epoch=1)
    api = _paths_of(stack, lambda: _predict_by_api(client, workload), first_epoch=1 + RECORDINGS)
    return {"form": form["web"], "api": api["web"], "claim": api["worker"]}


def _paths_of(stack: Recorded, predict: Callable[[], None], first_epoch: int) -> dict[str, FunctionsByFile]:
    """The functions that most recordings contain, for each kind of process."""
    times: dict[str, Counter[tuple[str, str]]] = {"web": Counter(), "worker": Counter()}
    for epoch in range(first_epoch, first_epoch + RECORDINGS):
        for _ in range(WARM_UPS):
            predict()
        with stack.recording(epoch):
            predict()
        for process, counter in times.items():
            counter.update(stack.recorded(epoch, process))
    return {process: _by_file(counter) for process, counter in times.items()}


def _by_file(times: Counter[tuple[str, str]]) -> FunctionsByFile:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for (file, function), count in times.items():
        if count > RECORDINGS // 2:
            found[file].add(function)
    return found


def _predict_by_api(client: httpx.Client, workload: Workload) -> None:
    response = client.post(
        f"/api/v1/models/{WORKLOAD}/predictions/",
        content=json.dumps({"features": list(workload.rows[0])}),
        headers={"Content-Type": "application/json", "Prefer": "wait=10"},
    )
    assert response.json()["status"] == "succeeded", response.text


class _FormClient:
    """Posts a form and polls its result, as htmx does. The constructor fetches the page of the form."""

    def __init__(self, client: httpx.Client, workload: Workload) -> None:
        self._client = client
        page = client.get(f"/models/{WORKLOAD}/")
        token = page.text.split('name="csrfmiddlewaretoken" value="', 1)[1].split('"', 1)[0]
        names = client.get(f"/api/v1/models/{WORKLOAD}/").json()["signature"]["properties"]
        values = {name: str(value) for name, value in zip(names, workload.rows[0], strict=True)}
        self._data = {**values, "csrfmiddlewaretoken": token}

    def predict(self) -> None:
        headers = {"HX-Request": "true"}
        response = self._client.post(f"/models/{WORKLOAD}/predictions/", data=self._data, headers=headers)
        url = response.headers["HX-Push-Url"]
        while 'data-state="succeeded"' not in response.text:
            response = self._client.get(f"{url}status/?attempt=1", headers=headers)
            assert response.status_code in (200, 286), response.text


def _report(paths: Mapping[str, FunctionsByFile]) -> int:
    is_within_bounds = True
    for name, files in paths.items():
        functions = sum(map(len, files.values()))
        most_functions, most_files = BOUNDS[name]
        is_within_bounds &= functions <= most_functions and len(files) <= most_files
        print(f"\n{TITLES[name]}: {functions} functions (at most {most_functions}), {len(files)} files ({most_files})")
        for file, names in sorted(files.items()):
            print(f"  {file}: {', '.join(sorted(names))}")
    return 0 if is_within_bounds else 1


if __name__ == "__main__":
    sys.exit(main())
