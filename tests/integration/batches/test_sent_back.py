"""Bad rows that are sent back: unchanged ones stay bad, and corrected ones have the values that were meant."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from python_calamine import CalamineWorkbook

from predictions.batches import downloads, exports, jobs
from predictions.models import BatchJob, RegisteredModel
from tests.support.files import bad_rows, correct, places, results, score

pytestmark = pytest.mark.django_db

POINTS = 'income,age,ratio\n100.5,35,0.5\n"52,000",40,0\n3,4,1\n'
COMMAS = "income;age;ratio\n100,5;35;0,5\n1.234;40;0\n5.5;4;1\n"
DOUBTFUL = "income;age;ratio\n100;35;0\n1.234;40;0\n3;4;1\n"
SET = "income\tage\tratio\n100\t35\t0\n52,000\t4\t0\n"


def incomes_of(job: BatchJob) -> list[str]:
    return [row["income"] for row in results(job)]


def sums_of(job: BatchJob) -> list[str]:
    return [row["prediction"].replace(",", ".") for row in results(job)]


@pytest.mark.parametrize(
    ("text", "wishes"), [(POINTS, {}), (COMMAS, {}), (DOUBTFUL, {}), (SET, {"decimal": "."})],
    ids=["points", "commas", "doubtful", "set"],
)  # fmt: skip
def test_unchanged_bad_rows_stay_bad(incomes: RegisteredModel, text: str, wishes: dict[str, str]) -> None:
    job = score(incomes, text.encode(), wishes=wishes)
    before = (bad_rows(job), results(job))
    assert before[0]

    correct(job, b"".join(downloads.bad_rows(job)))

    assert (bad_rows(job), results(job)) == before


def as_workbook(*records: list[Any]) -> bytes:
    """A workbook in which all numbers are numbers."""
    texts = [[str(cell) for cell in record] for record in records]
    with exports.workbook(texts, frozenset(range(len(records[0])))) as file:
        return file.read()


def as_parquet(names: list[str], *records: list[Any]) -> bytes:
    buffer = io.BytesIO()
    columns = [pa.array(column) for column in zip(*records, strict=True)]
    parquet.write_table(pa.table(dict(zip(names, columns, strict=True))), buffer)
    return buffer.getvalue()


NAMES = ["income", "age", "ratio", "line"]
CORRECTED: dict[str, Callable[[], bytes]] = {
    "the same delimiter": lambda: b"income;age;ratio;line\n1,234;40;0;3\n",
    "another delimiter": lambda: b"income,age,ratio,line\n1.234,40,0.5,3\n",
    "another delimiter and no sign": lambda: b'income,age,ratio,line\n"1,234",40,0,3\n',
    "numbers of a workbook": lambda: as_workbook(NAMES, [1.234, 40, 0, 3]),
    "numbers of Parquet": lambda: as_parquet(NAMES, [1.234, 40, 0, 3]),
    "numbers of JSON": lambda: b'{"income": 1.234, "age": 40, "ratio": 0, "line": 3}\n',
    "texts of JSON": lambda: b'{"income": "1,234", "age": "40", "ratio": 0, "line": 3}\n',
}


@pytest.mark.parametrize("content", CORRECTED.values(), ids=CORRECTED)
def test_corrections_have_the_sign_of_the_file_or_one_that_they_show(
    incomes: RegisteredModel, content: Callable[[], bytes]
) -> None:
    job = score(incomes, COMMAS.encode())

    correct(job, content())

    assert (incomes_of(job)[1], sums_of(job)[1]) == ("1,234", "41.234")
    assert places(bad_rows(job)) == [(4, "income: wrong_type")]


REFUSED: dict[str, Callable[[], bytes]] = {
    "the same delimiter": lambda: b"income;age;ratio;line\n1.234;40;0.5;3\n",
    "another delimiter and no sign": lambda: b"income,age,ratio,line\n1.234,40,0,3\n",
    "another sign": lambda: b'income,age,ratio,line\n"1,234",40,0.5,3\n',
    "texts of Parquet": lambda: as_parquet(NAMES, ["1.234", 40, 0, 3]),
    "texts of JSON": lambda: b'{"income": "1.234", "age": 40, "ratio": 0, "line": 3}\n',
}


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
def test_corrections_with_two_readings_stay_bad(incomes: RegisteredModel, content: Callable[[], bytes]) -> None:
    job = score(incomes, COMMAS.encode())

    correct(job, content())

    assert places(bad_rows(job))[0] == (3, "income: two_ways")
    assert sums_of(job)[1] == ""


@pytest.mark.parametrize(
    "content",
    [
        lambda: as_workbook(NAMES, [1.234, 40, 0, 3]),
        lambda: as_parquet(NAMES, [1.234, 40, 0, 3]),
        lambda: b'{"income": 1.234, "age": 40, "ratio": 0, "line": 3}\n',
        lambda: b"income,age,ratio,line\n1.234,40,0.5,3\n",
        lambda: b'income,age,ratio,line\n"1,234",40,"0,5",3\n',
        lambda: b"income;age;ratio;line\n1.2340;40;0;3\n",
    ],
    ids=["workbook", "Parquet", "JSON", "points", "commas", "one reading"],
)
def test_file_that_shows_no_sign_takes_corrections_with_one_reading(
    incomes: RegisteredModel, content: Callable[[], bytes]
) -> None:
    job = score(incomes, DOUBTFUL.encode())

    correct(job, content())

    assert (incomes_of(job)[1], sums_of(job)[1], bad_rows(job)) == ("1.2340", "41.234", [])


def test_corrections_of_a_file_of_json_show_their_own_sign(incomes: RegisteredModel) -> None:
    job = score(incomes, b'{"income": "x", "age": 40, "ratio": 0}\n')

    correct(job, b"income;age;ratio;line\n1,234;40;0,5;1\n")

    assert (incomes_of(job), sums_of(job)) == (["1.234"], ["41.234"])


# --- In other formats -------------------------------------------------------------------------------------------------
def exported(job: BatchJob, kind: str) -> bytes:
    [shown] = jobs.with_versions([job])
    return b"".join(exports.bad_rows(shown, kind))


OPTIONAL = 'income,age,ratio,children\n100.5,35,0.5,abc\n1,2,3,"1,234"\nNaN,,x,2.5\n1,1,1,1\n'


@pytest.mark.parametrize("kind", ["xlsx", "parquet", "jsonl"])
@pytest.mark.parametrize("text", [POINTS, COMMAS, DOUBTFUL, OPTIONAL], ids=["points", "commas", "doubtful", "optional"])
def test_unchanged_bad_rows_of_other_formats_stay_bad(incomes: RegisteredModel, text: str, kind: str) -> None:
    job = score(incomes, text.encode())
    before = bad_rows(job)
    assert before

    correct(job, exported(job, kind))

    assert [row["error"] for row in bad_rows(job)] == [row["error"] for row in before]


@pytest.mark.parametrize("kind", ["xlsx", "parquet"])
def test_bad_cells_are_exported_as_they_came(incomes: RegisteredModel, kind: str) -> None:
    job = score(incomes, OPTIONAL.encode())

    content = exported(job, kind)

    if kind == "xlsx":
        [_, *rows] = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python()
        assert [row[3] for row in rows] == ["abc", "1,234", 2.5]
        assert [row[0] for row in rows] == [100.5, 1, "NaN"]
    else:
        table = parquet.read_table(io.BytesIO(content)).to_pydict()
        assert table["children"] == ["abc", "1,234", "2.5"]
        assert table["income"] == ["100.5", "1", "NaN"]
        assert table["line"] == [2, 3, 4]


@pytest.mark.parametrize("kind", ["xlsx", "parquet", "jsonl"])
def test_line_of_the_file_itself_names_no_row_in_other_formats(incomes: RegisteredModel, kind: str) -> None:
    job = score(incomes, b"line,income,age,ratio\n3,x,35,0.5\n2,y,35,0.5\n")

    correct(job, exported(job, kind))

    assert [(row["line"], row["income"]) for row in records_of(job)] == [("3", "x"), ("2", "y")]


def records_of(job: BatchJob) -> list[dict[str, str]]:
    [head, *rows] = csv.reader(io.StringIO(b"".join(downloads.results(job)).decode()))
    return [dict(zip(head, row, strict=True)) for row in rows]
