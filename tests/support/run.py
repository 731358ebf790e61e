"""`python -m tests.support.run`: the whole suite on SQLite, then the tests that use the database on PostgreSQL.

The suite runs once. Tests that failed run once more, by name, in a new process. A test that passes then is printed as
FLAKY; one that fails again fails the run.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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

    def run(self, database: str, arguments: Sequence[str], variables: Mapping[str, str]) -> int:
        """The exit status: that of pytest, but 0 if all tests that failed have passed the second time."""
        status, outcomes = self._pytest(arguments, variables)
        failed = [test for test, outcome in outcomes.items() if outcome == "failed"]
        if status != pytest.ExitCode.TESTS_FAILED or not failed:
            return status
        print(f"\n{len(failed)} failed on {database}; once more, these alone:", flush=True)
        status, outcomes = self._pytest([*_named(failed, self.folder), f"--rerun-on={database}"], variables)
        self.notes += flaky(outcomes, database)
        passed = {test for test, outcome in outcomes.items() if outcome == "passed"}
        return status or int(not passed.issuperset(failed))

    def _pytest(self, arguments: Sequence[str], variables: Mapping[str, str]) -> tuple[int, dict[str, str]]:
        report = self.folder / "outcomes.json"
        report.unlink(missing_ok=True)
        command = [*PYTEST, f"--outcomes={report}", *(f"--note={note}" for note in self.notes), *arguments]
        status = subprocess.run(command, env={**os.environ, **variables}).returncode
        outcomes: dict[str, str] = json.loads(report.read_text()) if report.exists() else {}
        return status, outcomes


def _named(tests: Sequence[str], folder: Path) -> list[str]:
    """The argument of pytest that names these tests. They are in a file, because command lines have a length limit."""
    path = folder / "failed"
    path.write_text("\n".join(tests))
    return [f"@{path}"]


@contextmanager
def _postgresql() -> Iterator[dict[str, str]]:
    with postgres.cluster() as url:
        yield {"DATABASE_URL": url}


def main() -> int:
    missing = provide.missing()
    with tempfile.TemporaryDirectory(prefix="foretell-run-") as folder:
        suite = Suite(Path(folder), [f"MISSING {sentence}" for sentence in missing])
        status = suite.run("SQLite", [], {"DATABASE_URL": ""})
        if status == 0 and provide.postgresql():
            with _postgresql() as variables:
                status = suite.run("PostgreSQL", ON_POSTGRESQL, variables)
    return status or int(bool(missing) and os.environ.get("CI") == "true")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, postgres.leave)
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C reaches pytest too, which cleans up and ends
    sys.exit(main())
