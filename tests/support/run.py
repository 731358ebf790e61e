"""`python -m tests.support.run`: the whole suite on SQLite, beside it the tests that use the database on PostgreSQL.

It has up to six parts, of which three run at the same time, since tests of processes mostly wait. The output of each
is printed after that of the one before. A part runs once. Tests that failed run once more, by name, in a new process.
A test that passes then is printed as FLAKY; one that fails again fails the run.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support import postgres, provide
from tests.support.outcomes import flaky

# The slowest tests are listed, to show why a run takes too long.
PYTEST = [sys.executable, "-m", "pytest", "-p", "tests.support.outcomes", "--durations=15", "--durations-min=3"]
# The imports of this module may have set the variable to the product's own settings.
SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.settings"}
IN_PROCESS = ["tests/unit", "tests/integration"]
# Parts that run at the same time. On two cores a fourth starved the others: two tests ran into their time limits.
AT_ONE_TIME = 3
OF_WORKERS = ["tests/worker"]
OF_FAULTS = ["tests/chaos", "tests/siege"]
OF_ACCESSIBILITY = ["tests/browser/test_axe.py"]
OF_BROWSERS = ["tests/browser", *(f"--ignore={path}" for path in OF_ACCESSIBILITY)]
# These tests would do the same on another database: tests of estimators, of how files are read, of settings, of the
# permissions of each route, of Redis and its messages, of a proxy, of the end of a web process and of clients.
SAME_ON_POSTGRESQL = [
    "tests/integration/batches/test_beginnings.py", "tests/integration/batches/test_decimals.py",
    "tests/integration/batches/test_exports.py", "tests/integration/batches/test_json_lines.py",
    "tests/integration/batches/test_line_ends.py", "tests/integration/batches/test_tables.py",
    "tests/integration/importing", "tests/integration/project", "tests/integration/test_access.py",
    "tests/integration/test_error_hygiene.py", "tests/integration/web/test_languages.py",
    "tests/integration/web/test_why.py", "tests/worker/test_behind_nginx.py", "tests/worker/test_boosters.py",
    "tests/worker/test_broker_away.py", "tests/worker/test_cases.py", "tests/worker/test_draining.py",
    "tests/worker/test_client.py", "tests/worker/test_garbage.py", "tests/worker/test_mcp.py",
    "tests/worker/test_own_model_tutorial.py", "tests/worker/test_redis_guarded.py",
]  # fmt: skip
ON_POSTGRESQL = ["tests/integration", "tests/worker", *(f"--ignore={path}" for path in SAME_ON_POSTGRESQL)]


@dataclass
class Suite:
    """Runs of pytest. The summary of each run repeats the notes of the runs before it."""

    folder: Path
    notes: list[str] = field(default_factory=list)
    # The file for the output of pytest; None for the terminal.
    log: Path | None = None
    _process: "subprocess.Popen[bytes] | None" = None

    def run(self, database: str, arguments: Sequence[str], variables: Mapping[str, str]) -> int:
        """The exit status: that of pytest, but 0 if all tests that failed have passed the second time."""
        status, outcomes = self._pytest(arguments, variables)
        failed = [test for test, outcome in outcomes.items() if outcome == "failed"]
        if status != pytest.ExitCode.TESTS_FAILED or not failed:
            return status
        self.say(f"\n{len(failed)} failed on {database}; once more, these alone:")
        status, outcomes = self._pytest([*_named(failed, self.folder), f"--rerun-on={database}"], variables)
        self.notes += flaky(outcomes, database)
        passed = {test for test, outcome in outcomes.items() if outcome == "passed"}
        return status or int(not passed.issuperset(failed))

    def _pytest(self, arguments: Sequence[str], variables: Mapping[str, str]) -> tuple[int, dict[str, str]]:
        report = self.folder / "outcomes.json"
        report.unlink(missing_ok=True)
        command = [*PYTEST, f"--outcomes={report}", *(f"--note={note}" for note in self.notes), *arguments]
        with self.log.open("ab") if self.log else nullcontext() as output:
            self._process = subprocess.Popen(command, env={**os.environ, **variables}, stdout=output, stderr=output)
            status = self._process.wait()
        outcomes: dict[str, str] = json.loads(report.read_text()) if report.exists() else {}
        return status, outcomes

    def interrupt(self) -> None:
        """Interrupt pytest as Ctrl-C does: it cleans up and ends."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)

    def say(self, line: str) -> None:
        if self.log is None:
            print(line, flush=True)
        else:
            with self.log.open("a") as log:
                log.write(f"{line}\n")


def _named(tests: Sequence[str], folder: Path) -> list[str]:
    """The argument of pytest that names these tests. They are in a file, because command lines have a length limit."""
    path = folder / "failed"
    path.write_text("\n".join(tests))
    return [f"@{path}"]


def _on_sqlite(tests: Sequence[str]) -> Callable[[Suite], int]:
    return lambda suite: suite.run("SQLite", tests, {**SETTINGS, "DATABASE_URL": ""})


def _on_postgresql(suite: Suite) -> int:
    with postgres.cluster() as url:
        return suite.run("PostgreSQL", ON_POSTGRESQL, {**SETTINGS, "DATABASE_URL": url})


def _parts() -> dict[str, Callable[[Suite], int]]:
    """The parts by title. The longest come first, so that the parts that begin last are short.

    The first one writes to the terminal while it runs.
    """
    parts = {"In process, on SQLite": _on_sqlite(IN_PROCESS), "Of workers, on SQLite": _on_sqlite(OF_WORKERS)}
    if provide.postgresql():
        parts["On PostgreSQL"] = _on_postgresql
    return parts | {
        "Of browsers, on SQLite": _on_sqlite(OF_BROWSERS),
        "Of faults, on SQLite": _on_sqlite(OF_FAULTS),
        "Of accessibility, on SQLite": _on_sqlite(OF_ACCESSIBILITY),
    }


class Parts:
    """Several parts of a run, three at a time. When they are stopped, no further part begins."""

    def __init__(self, parts: Mapping[str, Callable[[Suite], int]], suites: Mapping[str, Suite]) -> None:
        self._parts, self._suites = parts, suites
        self._is_stopped = threading.Event()

    def statuses(self) -> Iterator[tuple[Suite, str, int]]:
        """Each part's suite, title and exit status, in order, as soon as those before have ended."""
        with ThreadPoolExecutor(AT_ONE_TIME) as pool:
            running = {title: pool.submit(self._run, title) for title in self._parts}
            for title, future in running.items():
                yield self._suites[title], title, future.result()

    def stop(self, *_: object) -> None:
        self._is_stopped.set()
        for suite in self._suites.values():
            suite.interrupt()

    def _run(self, title: str) -> int:
        suite = self._suites[title]
        if self._is_stopped.is_set():
            suite.say("not run")
            return pytest.ExitCode.INTERRUPTED
        try:
            status = self._parts[title](suite)
        except Exception as error:  # noqa: BLE001 - the other parts go on
            suite.say(f"{type(error).__name__}: {error}")
            return 1
        if status == pytest.ExitCode.INTERRUPTED:  # by Ctrl-C, which reaches pytest alone
            self._is_stopped.set()
        return status


def print_beside(title: str, log: Path, notes: Sequence[str]) -> None:
    """Print the output of a part. The notes of the parts before are repeated before its closing line."""
    *lines, closing = log.read_text(errors="replace").rstrip().splitlines() or ["no output"]
    print(f"\n{title}:", *lines, *notes, closing, sep="\n", flush=True)


def main() -> int:
    missing = provide.missing()
    notes = [f"MISSING {sentence}" for sentence in missing]
    status = 0
    with tempfile.TemporaryDirectory(prefix="foretell-run-") as folder:
        first, *others = parts = _parts()
        suites = {first: Suite(Path(folder), notes)} | {t: _suite_with_log(Path(folder), t) for t in others}
        run = Parts(parts, suites)
        signal.signal(signal.SIGTERM, run.stop)
        signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C reaches pytest too, which cleans up and ends
        for suite, title, ended in run.statuses():
            status = ended or status
            if suite.log is not None:
                print_beside(title, suite.log, notes)
                notes += suite.notes
    return status or int(bool(missing) and os.environ.get("CI") == "true")


def _suite_with_log(folder: Path, title: str) -> Suite:
    place = folder / title
    place.mkdir()
    return Suite(place, log=place / "log")


if __name__ == "__main__":
    sys.exit(main())
