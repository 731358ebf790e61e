"""Bad rows that are sent back: unchanged ones stay bad, and corrected ones have the values that were meant."""

import io
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from predictions.batches import downloads, exports
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
