"""A pytest plugin for `tests.support.run`: writes the outcome of each test to a file, and adds lines to the summary."""

import json
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("outcomes")
    group.addoption("--outcomes", type=Path, required=True, help="the JSON file to write: test -> outcome")
    group.addoption("--rerun-on", help="these tests have just failed on this database: name those that pass as FLAKY")
    group.addoption("--note", action="append", default=[], help="a line for the summary")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Outcomes(config), "outcomes-of-tests")


def flaky(outcomes: dict[str, str], database: str) -> list[str]:
    """A line for each test that passed in this second run."""
    return [f"FLAKY {test} ({database})" for test, outcome in outcomes.items() if outcome == "passed"]


class Outcomes:
    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test has three reports: set-up, call and tear-down. It has failed if one of them has."""
        if report.failed or (self._outcomes.get(report.nodeid) != "failed" and report.when != "teardown"):
            self._outcomes[report.nodeid] = report.outcome

    def pytest_sessionfinish(self) -> None:
        path: Path = self._config.getoption("--outcomes")
        path.write_text(json.dumps(self._outcomes))

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        database = self._config.getoption("--rerun-on")
        lines = [*self._config.getoption("--note"), *(flaky(self._outcomes, database) if database else [])]
        for line in lines:
            terminalreporter.write_line(line, yellow=True)
