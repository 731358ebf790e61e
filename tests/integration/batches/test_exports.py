"""Results and bad rows in other formats: the same values as in the text, and nothing lost."""

import csv
import io
import json
from typing import Any

import pytest
from pyarrow import parquet
from python_calamine import CalamineWorkbook

from predictions.batches import exports, jobs
from predictions.batches.layout import Layout
from predictions.models import BatchJob, RegisteredModel
from tests.support.api_client import ApiClient
from tests.support.files import score

pytestmark = pytest.mark.django_db


def exported(job: BatchJob, kind: str, *, is_bad: bool = False) -> bytes:
    [shown] = jobs.with_versions([job])
    return b"".join((exports.bad_rows if is_bad else exports.results)(shown, kind))


def table_of(content: bytes) -> dict[str, list[Any]]:
    return dict(parquet.read_table(io.BytesIO(content)).to_pydict())


def sheet_of(content: bytes) -> list[list[Any]]:
    return list(CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python())


SPELLED = 'income,age,ratio\n 52000, 3, .5\n"1 000",+1,.25\n"1,234,567",1.0,5.\n-0.5e3,1,\u22122\nNaN,x,\n'
COMMAS = 'income;age;ratio\n"1.234,5";3;0,5\n1.000.000;3;,5\n'
DOUBTFUL = "income;age;ratio\n1;0;1\n5.678;0;1\n"


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        (SPELLED, [[52000, 3, 0.5], [1000, 1, 0.25], [1234567, 1, 5], [-500, 1, -2], [None, None, None]]),
        (COMMAS, [[1234.5, 3, 0.5], [1000000, 3, 0.5]]),
        (DOUBTFUL, [[1, 0, 1], [None, 0, 1]]),
    ],
    ids=["spelled", "commas", "doubtful"],
)
def test_results_hold_the_numbers_that_were_scored(
    incomes: RegisteredModel, text: str, numbers: list[list[float | None]]
) -> None:
    job = score(incomes, text.encode())

    table, sheet = table_of(exported(job, "parquet")), sheet_of(exported(job, "xlsx"))[1:]

    found = list(zip(table["income"], table["age"], table["ratio"], strict=True))
    assert [list(row) for row in found] == numbers
    assert table["prediction"] == [None if None in row else row[0] + row[1] for row in numbers]  # type: ignore[operator]
    assert [[cell if isinstance(cell, float) else None for cell in row[:3]] for row in sheet] == numbers


def test_new_numbers_have_one_reading_where_those_of_the_file_have_two() -> None:
    layout = Layout(format="csv", delimiter=";", columns=["income"], matched=[0], decimal_certainty="doubtful")

    content = exports.convert([b"income;prediction\n1.234;1.234\n"], "parquet", frozenset({0, 1}), layout)

    assert table_of(b"".join(content)) == {"income": [None], "prediction": [1.234]}


# --- JSON lines and CSV -----------------------------------------------------------------------------------------------
def test_results_of_text_as_json_lines(incomes: RegisteredModel) -> None:
    job = score(incomes, b'income;age;ratio;note\n"1.000,5";3;,5;=x\nabc;;0,5;\n')

    first, second = map(json.loads, exported(job, "jsonl").splitlines())

    assert list(first)[:5] == ["income", "age", "ratio", "note", "prediction"]
    assert (first["income"], first["age"], first["ratio"], first["note"]) == (1000.5, 3, 0.5, "=x")
    assert (first["prediction"], first["error"]) == (1003.5, None)
    assert [second[name] for name in ("income", "age", "ratio", "note", "prediction")] == ["abc", None, 0.5, "", None]
    assert second["error"].startswith("income: wrong_type: ")


def test_results_of_json_as_json_lines(incomes: RegisteredModel) -> None:
    job = score(incomes, b'{"income": 1.5, "age": 3, "ratio": 1, "line": 8, "error": "own"}\n')

    [row] = map(json.loads, exported(job, "jsonl").splitlines())

    assert (row["income"], row["age"], row["prediction"], row["line"]) == (1.5, 3, 4.5, "8")
    assert (row["error_"], row["error"]) == ("own", None)


def test_bad_rows_of_text_as_json_lines(incomes: RegisteredModel) -> None:
    job = score(incomes, b"income;age;ratio\n1,5;x;0,5\n1;2;3\n")

    [row] = map(json.loads, exported(job, "jsonl", is_bad=True).splitlines())

    assert [row[name] for name in ("income", "age", "ratio", "line")] == [1.5, "x", 0.5, 2]


def test_bad_rows_of_json_as_csv(incomes: RegisteredModel) -> None:
    job = score(incomes, b'{"income": "x, y", "age": -3, "more": {"a": [true]}}\n')

    [head, row] = csv.reader(io.StringIO(exported(job, "csv", is_bad=True).decode()))

    found = dict(zip(head, row, strict=True))
    assert (found["income"], found["age"], found["more"], found["line"]) == ("x, y", "-3", '{"a":[true]}', "1")


@pytest.mark.parametrize("is_bad", [False, True], ids=["results", "errors"])
@pytest.mark.parametrize("text", [b"income,age,ratio\nx,3,1\n", b'{"income": "x", "age": 3, "ratio": 1}\n'])
def test_content_type_is_that_of_the_content(incomes: RegisteredModel, text: bytes, *, is_bad: bool) -> None:
    job = score(incomes, text)
    address = f"/api/v1/batches/{job.pk}/{'errors' if is_bad else 'results'}/"

    lines = ApiClient().get(f"{address}?format=jsonl")
    table = ApiClient().get(f"{address}?format=csv")

    assert (lines["Content-Type"], table["Content-Type"]) == ("application/x-ndjson", "text/csv; charset=utf-8")
    assert [json.loads(line)["income"] for line in lines.content.splitlines()] == ["x"]
    assert [row["income"] for row in csv.DictReader(io.StringIO(table.content.decode()))] == ["x"]
