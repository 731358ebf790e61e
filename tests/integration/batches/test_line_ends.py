"""Cells with line breaks, and line ends of all kinds: rows stay whole, and an editor shows the same line numbers."""

import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from predictions.batches import delimited, exports, jobs, reader
from predictions.models import BatchJob, RegisteredModel
from tests.support.files import GOOD, NAMES, bad_rows, correct, places, results, score, text

pytestmark = pytest.mark.django_db

A = NAMES[0]
HEADER = ",".join([*NAMES, "note"])


@pytest.fixture
def iris(registered: dict[str, RegisteredModel]) -> RegisteredModel:
    return registered["iris"]


@pytest.fixture(params=[400, 777, 5000])
def window(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """The number of bytes that are read at once."""
    for name in ("FIRST_WINDOW", "SMALLEST_WINDOW", "LARGEST_WINDOW"):
        monkeypatch.setattr(reader, name, request.param)
    size: int = request.param
    return size


def notes(job: BatchJob) -> list[tuple[str, bool]]:
    return [(row["note"], bool(row["prediction"])) for row in results(job)]


def line_of(content: str, mark: str) -> int:
    """The line on which an editor shows the first `mark`."""
    return len(content[: content.index(mark)].replace("\r\n", "\n").replace("\r", "\n").split("\n"))


# --- Cells with line breaks -------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("window")
@pytest.mark.parametrize("lines", [6, 100])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_cells_of_several_lines_stay_whole_wherever_a_read_ends(
    iris: RegisteredModel, settings: Any, lines: int, line_end: str
) -> None:
    settings.BATCH_CELL_BYTES = 1000
    wanted = [line_end.join(f"{row}-{one}" for one in range(lines)) for row in range(40)]
    job = score(iris, "\n".join([HEADER, *(",".join([*GOOD, f'"{note}"']) for note in wanted)]).encode())
    assert notes(job) == [(note, True) for note in wanted]
    assert bad_rows(job) == []


@pytest.mark.usefixtures("window")
def test_quote_that_is_never_closed_costs_its_own_line_wherever_a_read_ends(
    iris: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "RECORD_BYTES", 2000)
    rows = [",".join([*GOOD, f'"two\nlines of {number}"']) for number in range(20)]
    rows += [",".join([*GOOD, '"open']), *[",".join([*GOOD, f"{number}"]) for number in range(300)]]
    content = "\n".join([HEADER, *rows, ""])
    job = score(iris, content.encode())
    assert places(bad_rows(job)) == [(line_of(content, '"open'), ": unclosed_quote")]
    wanted = [(f"two\nlines of {number}", True) for number in range(20)]
    assert notes(job) == [*wanted, ("open", False), *((f"{number}", True) for number in range(300))]


def test_long_cell_of_many_lines_is_one_row(iris: RegisteredModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is longer than the first reads of the file, and than a cell may be."""
    monkeypatch.setattr(reader, "FIRST_WINDOW", 10_000)
    long = "many words on a line\n" * 6_000
    job = score(iris, text([[*GOOD, "x"], [*GOOD, long], [*GOOD, "y"]], [*NAMES, "note"]))
    assert places(bad_rows(job)) == [(3, ": cell_too_long")]
    assert notes(job) == [("x", True), (long, False), ("y", True)]


# --- Cells with carriage returns, in files that this product writes ---------------------------------------------------
BROKEN = ["a\rb", "\r", "c\r\nd", 'e"\r', "f"]


def test_results_with_carriage_returns_can_be_corrected_again_and_exported(iris: RegisteredModel) -> None:
    job = score(iris, delimited.content([[*NAMES, "note"], *(["x", *GOOD[1:], note] for note in BROKEN)], ","))
    for row in range(len(BROKEN)):
        bad = bad_rows(job)
        bad[0][A] = "5.1"
        job = correct(job, delimited.content([list(bad[0]), bad[0].values()], ","))
        good = [True] * (row + 1) + [False] * (len(BROKEN) - row - 1)
        assert notes(job) == [(guarded(note), is_good) for note, is_good in zip(BROKEN, good, strict=True)]
    parquet = io.BytesIO(b"".join(exports.results(jobs.with_versions([job])[0], "parquet")))
    assert pq.read_table(parquet).column("note").to_pylist() == BROKEN


def guarded(note: str) -> str:
    return "'" + note if note.startswith("\r") else note


def test_carriage_returns_in_cells_of_a_parquet_file_add_no_row(iris: RegisteredModel) -> None:
    columns = {**{name: [float(value)] * 5 for name, value in zip(NAMES, GOOD, strict=True)}, "note": BROKEN}
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    assert notes(score(iris, buffer.getvalue())) == [(guarded(note), True) for note in BROKEN]


# --- Line ends --------------------------------------------------------------------------------------------------------
def mixed(count: int, ends: Sequence[str]) -> str:
    """A file with one of these ends behind each line. Every 7th row is bad; every 10th has a note of several lines."""
    found = [HEADER + ends[0]]
    for number in range(count):
        first = f"bad{number}" if number % 7 == 0 else "5.1"
        note = f'"note{number}\r1\n2\r\n3"' if number % 10 == 0 else f"note{number}"
        found.append(",".join([first, *GOOD[1:], note]) + ends[number % len(ends)])
    return "".join(found)


@pytest.mark.usefixtures("window")
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
@pytest.mark.parametrize("ends", [["\n"], ["\r\n"], ["\r"], ["\r"] * 9 + ["\n"] * 40 + ["\r\n"] * 5, ["\r\r\n"]])
def test_lines_are_those_that_an_editor_shows(iris: RegisteredModel, ends: Sequence[str], encoding: str) -> None:
    content = mixed(120, ends)
    job = score(iris, content.encode(encoding))
    wanted = [f"bad{number}" for number in range(0, 120, 7)]
    assert [(int(row["line"]), row[A]) for row in bad_rows(job)] == [(line_of(content, bad), bad) for bad in wanted]
    assert [note.partition("\r")[0] for note, _ in notes(job)] == [f"note{number}" for number in range(120)]


def test_line_feed_in_a_cell_of_a_file_with_carriage_returns_loses_no_row(iris: RegisteredModel) -> None:
    rows = [",".join([*GOOD, note]) for note in ("x", '"a\nb"', "y")]
    job = score(iris, "\r".join([HEADER, *rows, ""]).encode())
    assert notes(job) == [("x", True), ("a\nb", True), ("y", True)]


@pytest.mark.usefixtures("window")
def test_correction_changes_the_row_of_its_line_only(iris: RegisteredModel) -> None:
    job = score(iris, mixed(200, ["\r"] * 60 + ["\n"] * 300).encode())
    before, bad = results(job), bad_rows(job)
    bad[-1][A] = "5.1"
    job = correct(job, text([list(bad[-1].values())], list(bad[-1])))
    changed = [row["note"] for row, old in zip(results(job), before, strict=True) if row != old]
    assert changed == [bad[-1]["note"]]
    assert bad_rows(job) == bad[:-1]


def test_json_lines_with_carriage_returns_are_read(iris: RegisteredModel) -> None:
    line = b'{"%s": 5.1, "%s": 3.5, "%s": 1.4, "%s": 0.2}\r' % tuple(name.encode() for name in NAMES)
    job = score(iris, line * 3)
    assert [row["prediction"] for row in results(job)] == ["setosa"] * 3
