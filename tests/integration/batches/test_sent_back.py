"""Bad rows that are sent back: unchanged ones stay bad, and corrected ones have the values that were meant."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from python_calamine import CalamineWorkbook

from predictions.batches import downloads, exports, jobs, writer
from predictions.batches.layout import Wishes, text_layout
from predictions.batches.texts import guarded, unguarded
from predictions.models import BatchJob, RegisteredModel
from predictions.serving.schema.signature import Signature
from tests.support import files
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
    "another delimiter and a point": lambda: b"income,age,ratio,line\n1.234,40,0,3\n",
    "another delimiter and a comma": lambda: b'income,age,ratio,line\n"1,234",40,0,3\n',
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


# --- The guard against formulas ---------------------------------------------------------------------------------------
TEXTS = ["-foo", "'-foo", "''=foo", "=foo", "@a", "+49 170", "'quoted'", "plain", "'", "-5", "'-5", "\t-", "'\n="]


@pytest.mark.parametrize("text", TEXTS)
def test_guard_can_be_taken_off_again(text: str) -> None:
    assert unguarded(guarded(text)) == text


def test_cells_are_guarded_like_texts() -> None:
    assert writer.guarded(pa.array(TEXTS)).to_pylist() == [guarded(text) for text in TEXTS]
    numbers = {"-5", "+49 170"}
    assert not {guarded(text)[0] for text in TEXTS if text not in numbers} & set("=+-@\t")


def guarded_job(signs: RegisteredModel) -> BatchJob:
    rows = [["x", "0.5", text, text] for text in TEXTS]
    return score(signs, files.text([*rows, ["1", "2", "plain", ""]], ["-log10 p", "+x", "note", "=more"]))


def as_sent(job: BatchJob, kind: str) -> bytes:
    """The bad rows with a number instead of each x."""
    content = exported(job, kind)
    if kind == "csv":
        return content.replace(b"\nx,", b"\n1,")
    if kind == "parquet":
        table = parquet.read_table(io.BytesIO(content))
        corrected = table.set_column(0, table.column_names[0], pa.array(["1"] * len(table)))
        buffer = io.BytesIO()
        parquet.write_table(corrected, buffer)
        return buffer.getvalue()
    if kind == "jsonl":
        return content.replace(b'"-log10 p":"x"', b'"-log10 p":1')
    rows = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python()
    with exports.workbook([rows[0], *(["1", *map(str, row[1:])] for row in rows[1:])]) as file:
        return file.read()


@pytest.mark.parametrize("kind", ["csv", "xlsx", "parquet", "jsonl"])
def test_texts_of_corrected_rows_are_those_of_the_file(signs: RegisteredModel, kind: str) -> None:
    job = guarded_job(signs)

    correct(job, as_sent(job, kind))

    assert bad_rows(job) == []
    [shown] = jobs.with_versions([job])
    found = [json.loads(line) for line in b"".join(exports.results(shown, "jsonl")).splitlines()]
    assert [row["note"] for row in found] == [*TEXTS, "plain"]
    assert [row["=more"] for row in found] == [*TEXTS, ""]
    assert [row["prediction"] for row in found] == [1.5] * len(TEXTS) + [3]


def test_texts_keep_their_apostrophes_in_second_corrections(signs: RegisteredModel) -> None:
    job = score(signs, files.text([["x", "y", "'-foo"], ["x", "y", "-foo"]], ["-log10 p", "+x", "note"]))

    correct(job, b"'-log10 p,'+x,line\n1,y,2\n1,y,3\n")
    correct(job, b"-log10 p,+x,line\n1,2,2\n1,2,3\n")

    [shown] = jobs.with_versions([job])
    found = [json.loads(line) for line in b"".join(exports.results(shown, "jsonl")).splitlines()]
    assert [(row["note"], row["prediction"]) for row in found] == [("'-foo", 3), ("-foo", 3)]
    assert [row["note"] for row in results(job)] == ["''-foo", "'-foo"]


def test_template_of_a_model_whose_names_are_guarded_can_be_scored(signs: RegisteredModel) -> None:
    assert [row["prediction"] for row in results(score(signs, b"'-log10 p,'+x,note\n1,2,\n"))] == ["3"]


def test_feature_may_have_an_apostrophe_itself() -> None:
    signature = Signature.model_validate([{"kind": "number", "name": name} for name in ("'-x", "b")])
    for header in ("'-x,b", "''-x,b"):
        layout = text_layout(f"{header}\n1,2\n".encode(), signature, Wishes())
        assert (layout.columns, layout.matched) == (["'-x", "b"], [0, 1])
