"""The test run: failed tests run once more, a test that then passes is named, and the exit status is right."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.run import AT_ONE_TIME, Parts, Suite, print_beside
from tests.support.waiting import wait_until

PASSES = "def test_sound(): pass\n"
FAILS = "def test_broken(): assert False\n"
FLAKY = """
from pathlib import Path
seen = Path(__file__).with_name("seen")
def test_lucky():
    if not seen.exists():
        seen.touch()
        assert False
"""
SKIPPED_AT_LAST = FLAKY.replace("def test", "import pytest\ndef test") + "    else:\n        pytest.skip('no more')\n"
FLAKY_SET_UP = FLAKY.replace("def test_lucky", "import pytest\n@pytest.fixture\ndef base") + (
    "def test_on_it(base): pass\ndef test_beside(): pass\n"
)
FLAKY_TEAR_DOWN = FLAKY.replace("def test_lucky():", "import pytest\n@pytest.fixture\ndef base():\n    yield") + (
    "def test_on_it(base): pass\n"
)
FLAKY_NAMES = """
import pytest
from pathlib import Path
@pytest.mark.parametrize("word", ["a b", "[x]", "@y", "é"])
def test_lucky(word):
    seen = Path(__file__).with_name(word.encode().hex())
    if not seen.exists():
        seen.touch()
        assert False
"""

Run = Callable[..., tuple[int, str]]


def closing_line(printed: str) -> str:
    """pytest's last line without its frame and its time."""
    return printed.splitlines()[-1].strip("= ").partition(" in ")[0]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs test modules with these sources as a separate suite. Returns the exit status and the output."""
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    place = tmp_path / "suite"
    place.mkdir()
    (place / "pytest.ini").write_text("[pytest]\n")
    monkeypatch.chdir(place)

    def _run(*sources: str, **options: Any) -> tuple[int, str]:
        for number, source in enumerate(sources):
            (place / f"test_{number}.py").write_text(source)
        suite = Suite(tmp_path, **options)
        status = suite.run("SQLite", [], {})
        return status, capfd.readouterr().out

    return _run


def test_suite_that_passes_runs_once(run: Run) -> None:
    status, printed = run(PASSES)
    assert status == 0
    assert printed.count(" passed in ") == 1
    assert "FLAKY" not in printed


def test_test_that_passes_the_second_time_is_named_and_the_run_passes(run: Run) -> None:
    status, printed = run(PASSES, FLAKY)
    assert status == 0
    assert printed.splitlines()[-2] == "FLAKY test_1.py::test_lucky (SQLite)"
    assert closing_line(printed) == "1 passed"


def test_only_failed_tests_run_again(run: Run) -> None:
    _, printed = run(PASSES, FLAKY)
    assert "1 failed, 1 passed in " in printed
    assert closing_line(printed) == "1 passed"


def test_test_that_fails_twice_fails_the_run(run: Run) -> None:
    status, printed = run(PASSES, FAILS, FLAKY)
    assert status == 1
    assert "FLAKY test_2.py::test_lucky (SQLite)" in printed
    assert "FLAKY test_1.py" not in printed
    assert closing_line(printed) == "1 failed, 1 passed"


def test_test_that_is_skipped_the_second_time_fails_the_run(run: Run) -> None:
    status, printed = run(SKIPPED_AT_LAST)
    assert status == 1
    assert "FLAKY" not in printed


def test_test_whose_set_up_fails_once_is_flaky(run: Run) -> None:
    status, printed = run(FLAKY_SET_UP)
    assert status == 0
    assert printed.splitlines()[-2] == "FLAKY test_0.py::test_on_it (SQLite)"


def test_test_whose_tear_down_fails_once_is_flaky(run: Run) -> None:
    status, printed = run(FLAKY_TEAR_DOWN)
    assert status == 0
    assert "FLAKY test_0.py::test_on_it (SQLite)" in printed


def test_parametrized_tests_run_again_by_their_names(run: Run) -> None:
    status, printed = run(FLAKY_NAMES)
    assert status == 0
    assert printed.count("FLAKY test_0.py::test_lucky[") == 4


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def broken(:\n", pytest.ExitCode.INTERRUPTED),
        ("", pytest.ExitCode.NO_TESTS_COLLECTED),
        ("import os\ndef test_dies(): os._exit(7)\n", 7),
        ("import pytest\ndef test_stops(): raise KeyboardInterrupt\n", pytest.ExitCode.INTERRUPTED),
    ],
    ids=["collection error", "no tests", "process died", "interrupted"],
)
def test_run_that_did_not_finish_is_not_repeated(run: Run, source: str, expected: int) -> None:
    status, printed = run(source)
    assert status == expected
    assert "once more" not in printed


def test_notes_stand_before_the_closing_line(run: Run) -> None:
    _, printed = run(PASSES, notes=["MISSING Browser", "FLAKY test_a (SQLite)"])
    assert printed.splitlines()[-3:-1] == ["MISSING Browser", "FLAKY test_a (SQLite)"]


def test_flaky_test_is_named_in_the_next_run_too(run: Run) -> None:
    run(FLAKY, notes=(notes := []))
    assert notes == ["FLAKY test_0.py::test_lucky (SQLite)"]


def test_notes_of_the_first_run_stand_before_the_last_closing_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log").write_text("test_a.py .\nFLAKY test_b (PostgreSQL)\n=== 2 passed in 0.1s ===\n")
    print_beside("On PostgreSQL", tmp_path / "log", ["FLAKY test_c (SQLite)"])

    printed = capsys.readouterr().out.splitlines()
    assert printed[-3:] == ["FLAKY test_b (PostgreSQL)", "FLAKY test_c (SQLite)", "=== 2 passed in 0.1s ==="]


def test_output_of_a_suite_with_a_log_goes_there(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "log"
    _, printed = run(PASSES, FLAKY, log=log)
    assert printed == ""
    assert "1 failed on SQLite; once more, these alone:" in log.read_text()
    assert closing_line(log.read_text()) == "1 passed"


# --- Several parts ----------------------------------------------------------------------------------------------------
def statuses(folder: Path, *parts: Callable[[Suite], int]) -> list[int]:
    named = {str(number): part for number, part in enumerate(parts)}
    suites = {title: Suite(folder, log=folder / title) for title in named}
    return [status for _, _, status in Parts(named, suites).statuses()]


def test_part_that_raises_is_told_in_its_log_and_the_others_go_on(tmp_path: Path) -> None:
    def fail(_: Suite) -> int:
        raise RuntimeError("PostgreSQL did not start")

    assert statuses(tmp_path, lambda _: 0, fail, lambda _: 0) == [0, 1, 0]
    assert (tmp_path / "1").read_text() == "RuntimeError: PostgreSQL did not start\n"


def test_no_part_begins_after_one_was_interrupted(tmp_path: Path) -> None:
    begun: list[int] = []
    all_run = threading.Barrier(AT_ONE_TIME)

    def interrupted(_: Suite) -> int:
        all_run.wait(20)
        return pytest.ExitCode.INTERRUPTED

    def later(_: Suite) -> int:
        begun.append(1)
        return 0

    expected = [pytest.ExitCode.INTERRUPTED] * (AT_ONE_TIME + 1)
    assert statuses(tmp_path, *([interrupted] * AT_ONE_TIME), later) == expected
    assert begun == []


def test_stopped_run_interrupts_what_runs(run: Run, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    Path("test_long.py").write_text(
        f"import pathlib, time\ndef test_long():\n    pathlib.Path({str(begun)!r}).touch()\n    time.sleep(60)\n"
    )
    suites = {"long": Suite(tmp_path, log=tmp_path / "long.log")}
    parts = Parts({"long": lambda suite: suite.run("SQLite", [], {})}, suites)
    ended: list[int] = []
    running = threading.Thread(target=lambda: ended.extend(status for _, _, status in parts.statuses()))
    running.start()
    wait_until(begun.exists, 30, "the test runs")

    parts.stop()
    running.join(30)

    assert ended == [pytest.ExitCode.INTERRUPTED]
    assert "KeyboardInterrupt" in (tmp_path / "long.log").read_text()


def test_part_without_output_is_told_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log").touch()
    print_beside("On PostgreSQL", tmp_path / "log", [])
    assert capsys.readouterr().out.splitlines() == ["", "On PostgreSQL:", "no output"]
