"""`python -m tests.support.run`: the whole suite on SQLite, beside it the tests that use the database on PostgreSQL.

Both run at the same time, since each uses little more than one core. The output of the second is printed after that of
the first. A suite runs once. Tests that failed run once more, by name, in a new process. A test that passes then is
printed as FLAKY; one that fails again fails the run.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support import postgres, provide
from tests.support.outcomes import flaky

PYTEST = [sys.executable, "-m", "pytest", "-p", "tests.support.outcomes"]
ON_POSTGRESQL = ["tests/integration", "tests/worker"]


@dataclass
class Suite:
    """Runs of pytest whose summaries show the notes of the runs before."""

    folder: Path
    notes: list[str] = field(default_factory=list)
    # Where its output goes; to the terminal if None.
    log: Path | None = None

    def run(self, database: str, arguments: Sequence[str], variables: Mapping[str, str]) -> int:
        """The exit status: that of pytest, but 0 if all tests that failed have passed the second time."""
        status, outcomes = self._pytest(arguments, variables)
        failed = [test for test, outcome in outcomes.items() if outcome == "failed"]
        if status != pytest.ExitCode.TESTS_FAILED or not failed:
            return status
        self._print(f"\n{len(failed)} failed on {database}; once more, these alone:")
        status, outcomes = self._pytest([*_named(failed, self.folder), f"--rerun-on={database}"], variables)
        self.notes += flaky(outcomes, database)
        passed = {test for test, outcome in outcomes.items() if outcome == "passed"}
        return status or int(not passed.issuperset(failed))

    def _pytest(self, arguments: Sequence[str], variables: Mapping[str, str]) -> tuple[int, dict[str, str]]:
        report = self.folder / "outcomes.json"
        report.unlink(missing_ok=True)
        command = [*PYTEST, f"--outcomes={report}", *(f"--note={note}" for note in self.notes), *arguments]
        with self.log.open("ab") if self.log else nullcontext() as output:
            status = subprocess.run(command, env={**os.environ, **variables}, stdout=output, stderr=output).returncode
        outcomes: dict[str, str] = json.loads(report.read_text()) if report.exists() else {}
        return status, outcomes

    def _print(self, line: str) -> None:
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


@contextmanager
def _postgresql() -> Iterator[dict[str, str]]:
    with postgres.cluster() as url:
        yield {"DATABASE_URL": url}


def _run_on_postgresql(suite: Suite) -> int:
    with _postgresql() as variables:
        return suite.run("PostgreSQL", ON_POSTGRESQL, variables)


def print_beside(log: Path, notes: Sequence[str]) -> None:
    """Print the output on PostgreSQL. The notes of the run on SQLite are repeated before its closing line."""
    *lines, closing = log.read_text(errors="replace").rstrip().splitlines()
    print("\nOn PostgreSQL:", *lines, *notes, closing, sep="\n", flush=True)


def main() -> int:
    missing = provide.missing()
    notes = [f"MISSING {sentence}" for sentence in missing]
    with tempfile.TemporaryDirectory(prefix="foretell-run-") as folder, ThreadPoolExecutor(1) as beside:
        first, second = Path(folder) / "sqlite", Path(folder) / "postgresql"
        first.mkdir()
        second.mkdir()
        later = Suite(second, list(notes), log=second / "log")
        on_postgresql = beside.submit(_run_on_postgresql, later) if provide.postgresql() else None
        status = Suite(first, notes).run("SQLite", [], {"DATABASE_URL": ""})
        if on_postgresql is not None:
            status = on_postgresql.result() or status
            print_beside(second / "log", notes)
    return status or int(bool(missing) and os.environ.get("CI") == "true")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, postgres.leave)
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C reaches pytest too, which cleans up and ends
    sys.exit(main())
