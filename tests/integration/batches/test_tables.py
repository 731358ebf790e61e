"""Workbooks and Parquet files: cells that are shown but have no value, empty rows, dates, and missing numbers."""

import io
import re
import zipfile
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from predictions.batches import sheets
from predictions.batches.exports import workbook
from predictions.batches.layout import Layout
from predictions.models import RegisteredModel
from predictions.serving.schema.errors import InvalidInput
from predictions.serving.schema.request_errors import UnsupportedMediaType
from tests.support.files import GOOD, NAMES, bad_rows, correct, places, results, score, text

pytestmark = pytest.mark.django_db

# The last two features of the model are optional: a text and a number.
HEADER = ["long side", "count", "colour", "ripe", "note", "a/b~c", "more"]
VALUES = [40.5, 2, "g", True, "x", 0.5, "y"]
ROW = [str(value) for value in VALUES]


@pytest.fixture
def iris(registered: dict[str, RegisteredModel]) -> RegisteredModel:
    return registered["iris"]


def sheet(*rows: list[str], merged: str = "", prefix: str = "") -> bytes:
    """A workbook of these rows. A cell that begins with `<` is the element itself."""
    with workbook([]) as file, zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    lines = "".join(f"<row>{''.join(map(_element, row))}</row>" for row in rows)
    merges = f'<mergeCells><mergeCell ref="{merged}"/></mergeCells>' if merged else ""
    part = parts["xl/worksheets/sheet1.xml"].decode().replace("</sheetData>", f"{lines}</sheetData>{merges}")
    if prefix:
        part = re.sub(r"<(/?)(?=\w)", rf"<\1{prefix}:", part).replace("xmlns=", f"xmlns:{prefix}=")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, content in {**parts, "xl/worksheets/sheet1.xml": part}.items():
            made.writestr(name, content)
    return buffer.getvalue()


def _element(cell: str) -> str:
    return cell if cell.startswith("<") or not cell else f'<c t="inlineStr"><is><t>{cell}</t></is></c>'


def with_cell(place: int, cell: str) -> list[str]:
    return [*ROW[:place], cell, *ROW[place + 1 :]]


# --- Cells without a value --------------------------------------------------------------------------------------------
BROKEN = [
    ('<c t="e"><v>#DIV/0!</v></c>', "sheet_error", "#DIV/0!"),
    ('<c t="e"><f>NA()</f><v>#N/A</v></c>', "sheet_error", "#N/A"),
    ("<c><f>1+1</f></c>", "formula_without_value", ""),
    ("<c><f>1+1</f><v/></c>", "formula_without_value", ""),
    ("<c><f>1+1</f><v></v></c>", "formula_without_value", ""),
]


@pytest.mark.parametrize("prefix", ["", "x"])
@pytest.mark.parametrize("place", range(6))
@pytest.mark.parametrize(("cell", "code", "shown"), BROKEN)
def test_cell_without_a_value_is_bad_in_each_column(
    kinds: RegisteredModel, cell: str, code: str, shown: str, place: int, prefix: str
) -> None:
    job = score(kinds, sheet(HEADER, ROW, with_cell(place, cell), ROW, prefix=prefix))
    assert places(bad_rows(job)) == [(3, f"{HEADER[place]}: {code}")]
    assert [row[HEADER[place]] for row in results(job)][1] == shown
    assert [bool(row["prediction"]) for row in results(job)] == [True, False, True]


def test_row_of_formulas_without_values_is_bad_at_the_end_of_a_sheet_too(kinds: RegisteredModel) -> None:
    job = score(kinds, sheet(HEADER, ROW, ["<c><f>A2</f></c>"] * 7))
    assert {place.partition(": ")[2] for _, place in places(bad_rows(job))} == {"formula_without_value"}
    assert len(results(job)) == 2


def test_formulas_with_values_are_read(kinds: RegisteredModel) -> None:
    cells = [
        "<c><f>1</f><v>40.5</v></c>",
        *ROW[1:4],
        '<c t="str"><f>1</f><v></v></c>',
        "<c><f>1</f><v>0.5</v></c>",
        "y",
    ]
    job = score(kinds, sheet(HEADER, cells))
    assert [bool(row["prediction"]) for row in results(job)] == [True]


def test_cell_without_a_value_in_another_column_is_handed_back(kinds: RegisteredModel) -> None:
    job = score(kinds, sheet(HEADER, *(with_cell(6, cell) for cell, _, _ in BROKEN)))
    assert [row["more"] for row in results(job)] == [shown for *_, shown in BROKEN]
    assert bad_rows(job) == []


def test_cell_without_a_value_can_be_corrected(kinds: RegisteredModel) -> None:
    job = score(kinds, sheet(HEADER, with_cell(5, BROKEN[0][0]), with_cell(5, BROKEN[2][0])))
    first, second = bad_rows(job)
    job = correct(job, text([list({**first, "a/b~c": "0.5"}.values()), list(second.values())], list(first)))
    assert [(row["a/b~c"], bool(row["prediction"])) for row in results(job)] == [("0.5", True), ("", True)]


def test_merged_cells_are_bad_except_the_first(kinds: RegisteredModel) -> None:
    rows = [with_cell(5, "<c><v>0.5</v></c>"), with_cell(5, "<c/>"), with_cell(5, "<c/>"), ROW]
    job = score(kinds, sheet(HEADER, *rows, merged="F2:F4"))
    assert places(bad_rows(job)) == [(3, "a/b~c: merged_cell"), (4, "a/b~c: merged_cell")]


def test_merged_cells_beyond_the_rows_are_ignored(kinds: RegisteredModel) -> None:
    job = score(kinds, sheet(HEADER, ROW, merged="A2:XFD1048576"))
    assert {place.partition(": ")[2] for _, place in places(bad_rows(job))} == {"merged_cell"}
    assert len(results(job)) == 1


def test_merged_cells_that_overlap_are_refused(kinds: RegisteredModel) -> None:
    with pytest.raises(UnsupportedMediaType, match="merged cells overlap"):
        score(kinds, sheet(HEADER, ROW, merged='A1:G2"/><mergeCell ref="A1:G2'))


@pytest.mark.parametrize("cell", ['<c r="ZZZ2" t="e"><v>#N/A</v></c>', '<c r="2" t="e"><v>#N/A</v></c>'])
def test_cell_outside_the_sheet_is_refused(kinds: RegisteredModel, cell: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        score(kinds, sheet(HEADER, [*ROW, cell]))


# --- Empty rows -------------------------------------------------------------------------------------------------------
def test_workbook_that_declares_entities_is_refused(kinds: RegisteredModel) -> None:
    declared = '<!DOCTYPE x [<!ENTITY a "1">]>'
    with zipfile.ZipFile(io.BytesIO(sheet(HEADER, with_cell(1, "<c><f>1+1</f></c>")))) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, content in parts.items():
            start = content.find(b"?>") + 2 if content.startswith(b"<?xml") else 0
            made.writestr(name, content[:start] + declared.encode() + content[start:])
    with pytest.raises(UnsupportedMediaType):
        score(kinds, buffer.getvalue())


def test_empty_rows_before_the_header_are_skipped_and_counted(kinds: RegisteredModel) -> None:
    job = score(kinds, sheet([], [], HEADER, ROW, with_cell(0, "x")))
    assert places(bad_rows(job)) == [(5, "long side: wrong_type")]
    assert len(results(job)) == 2


def test_sheet_without_any_cell_is_refused_as_empty(kinds: RegisteredModel) -> None:
    with pytest.raises(InvalidInput) as raised:
        score(kinds, sheet([], []))
    assert [problem.message for problem in raised.value.problems] == ["The sheet “Rows” is empty."]


# --- Parquet ----------------------------------------------------------------------------------------------------------
def parquet(columns: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32(), pa.float16()])
def test_nan_of_a_parquet_file_is_a_missing_value(kinds: RegisteredModel, kind: pa.DataType) -> None:
    columns: dict[str, Any] = {name: [value, value] for name, value in zip(HEADER, VALUES, strict=True)}
    columns["a/b~c"] = pa.array([float("nan"), 0.5], kind, from_pandas=False)
    job = score(kinds, parquet(columns))
    assert [(row["a/b~c"], bool(row["prediction"])) for row in results(job)] == [("", True), ("0.5", True)]


def test_nan_of_a_required_feature_is_missing(iris: RegisteredModel) -> None:
    job = score(iris, parquet({name: pa.array([float("nan")], from_pandas=False) for name in NAMES}))
    assert places(bad_rows(job)) == [(1, f"{name}: missing") for name in NAMES]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin", "America/New_York"])
def test_times_at_midnight_are_dates(iris: RegisteredModel, unit: Any, zone: str | None) -> None:
    days = pd.to_datetime(["2021-11-03 00:00", "2021-07-03 10:30"]).tz_localize(zone)
    columns = {name: [float(value)] * 2 for name, value in zip(NAMES, GOOD, strict=True)}
    job = score(iris, parquet({**columns, "day": pa.array(days.as_unit(unit))}))
    first, second = (row["day"] for row in results(job))
    assert first == "2021-11-03"
    assert second.startswith("2021-07-03 10:30:00")


def test_dates_of_workbooks_and_parquet_files_are_the_same() -> None:
    file = io.BytesIO(parquet({"day": [datetime(2021, 11, 3, tzinfo=UTC)]}))
    assert list(sheets.rows(file, Layout(format="parquet", columns=["day"], matched=[]), 0)) == [("2021-11-03",)]
