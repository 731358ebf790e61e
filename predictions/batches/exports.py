"""Results as Excel, Parquet and JSON lines, made from the delimited text that the workers have written.

This module writes workbooks without a library, since they have only one sheet of texts and numbers: ECMA-376, part 1.
"""

import csv
import math
import re
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import IO
from xml.sax.saxutils import escape

import orjson

from predictions.batches import downloads
from predictions.batches.columns import EXTRA_COLUMNS
from predictions.batches.layout import Layout
from predictions.batches.numerals import read_number, written_number
from predictions.batches.texts import cell_text, guarded, unguarded
from predictions.models import BatchChunk, BatchJob
from predictions.serving.schema.errors import InvalidInput, Problem
from predictions.serving.schema.kinds import LARGEST_INTEGER
from predictions.serving.schema.sentences import english
from predictions.serving.schema.signature import Integer, Number, Signature

FORMATS = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "parquet": "application/vnd.apache.parquet",
    "jsonl": "application/x-ndjson",
}
# The limits of Excel.
EXCEL_ROWS, EXCEL_COLUMNS, EXCEL_CELL = 1_048_576, 16_384, 32_767
PARQUET_ROWS, JSON_ROWS = 20_000, 1_000
# Of texts that no file has: numbers have decimal points.
PLAIN = Layout(format="csv", columns=[], matched=[])
# Characters that XML 1.0 cannot hold.
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def results(job: BatchJob, kind: str) -> Iterator[bytes]:
    """The results in a format. Raises NoResults; InvalidInput for an unknown format, or one that cannot hold them."""
    layout, content = _layout_for(job, kind), downloads.results(job)
    if kind == "csv":
        return content
    new, numbers = downloads.new_columns(job), downloads.number_columns(job.version.manifest)
    return convert(content, kind, numeric_columns(layout, job.version.signature, new, numbers), layout)


def bad_rows(job: BatchJob, kind: str) -> Iterator[bytes]:
    """The bad rows in a format, to be corrected and sent again. In Parquet all their cells are texts, since a column of
    numbers cannot hold the cell that is wrong. Raises the errors of `results`."""
    layout, content = _layout_for(job, kind), downloads.bad_rows(job)
    if kind == form_of(job, is_bad=True):
        return content
    records = _records(content, layout.delimiter) if layout.format != "jsonl" else _records_of_json(content, layout)
    if kind in ("xlsx", "parquet"):  # people send them back, as they send a CSV that they saved as Excel
        records = ([guarded(cell) for cell in record] for record in records)
    numeric = numeric_columns(layout, job.version.signature, EXTRA_COLUMNS, {"line"})
    return _converted(records, kind, numeric & {len(layout.columns)} if kind == "parquet" else numeric, layout)


def form_of(job: BatchJob, *, is_bad: bool) -> str:
    """The format of the stored rows: JSON lines for the bad rows of a JSON file, else delimited text."""
    return "jsonl" if is_bad and job.layout["format"] == "jsonl" else "csv"


def _layout_for(job: BatchJob, kind: str) -> Layout:
    """The layout of a job that is exported. Raises InvalidInput for a format that is unknown or too small."""
    if kind not in FORMATS:
        message = english("Must be one of: {choices}.", choices=", ".join(FORMATS))
        raise InvalidInput([Problem(None, "unknown_choice", message, "/format")])
    layout = Layout.model_validate(job.layout)
    if kind == "xlsx":
        _check_excel(BatchChunk.objects.counts_of(job.pk)["rows"], layout)
    return layout


def convert(content: Iterable[bytes], kind: str, numeric: frozenset[int], layout: Layout) -> Iterator[bytes]:
    """Converts delimited text with a header to another format."""
    return _converted(_records(content, layout.delimiter), kind, numeric, layout)


def _converted(records: Iterator[list[str]], kind: str, numeric: frozenset[int], layout: Layout) -> Iterator[bytes]:
    if kind == "xlsx":
        return _pieces(workbook(records, numeric, layout))
    if kind == "parquet":
        return _pieces(_parquet(records, numeric, layout))
    if kind == "jsonl":
        return _json_lines(records, numeric, layout)
    return (downloads.header(record, layout.delimiter) for record in records)


def _check_excel(rows: int, layout: Layout) -> None:
    if rows >= EXCEL_ROWS or len(layout.columns) + 20 > EXCEL_COLUMNS:
        message = english(
            "Excel holds {rows} rows and {columns} columns. Take csv or parquet.",
            rows=EXCEL_ROWS - 1,
            columns=EXCEL_COLUMNS,
        )
        raise InvalidInput([Problem(None, "too_many_rows", message, "/format")])


def numeric_columns(layout: Layout, signature: Signature, new: Sequence[str], numbers: set[str]) -> frozenset[int]:
    """The positions of the columns that hold numbers; `numbers` are the names of such new columns."""
    features = zip(signature.features, layout.matched, strict=True)
    given = {place for feature, place in features if place is not None and isinstance(feature, Number | Integer)}
    ours = {place for place, name in enumerate(new, len(layout.columns)) if name in numbers}
    return frozenset(given | ours)


def _number(text: str, place: int, layout: Layout) -> float | None:
    """The number in a cell as the rows were read; new columns, behind those of the file, are written without doubt."""
    is_given = place < len(layout.columns)
    number = layout.read(text.strip()) if is_given else read_number(text, layout.decimal)
    return number if isinstance(number, float) and math.isfinite(number) else None


def _records(content: Iterable[bytes], delimiter: str) -> Iterator[list[str]]:
    csv.field_size_limit(1 << 30)
    for record in csv.reader(_lines(content), delimiter=delimiter):
        yield [unguarded(cell) for cell in record]


def _records_of_json(content: Iterable[bytes], layout: Layout) -> Iterator[list[str]]:
    names = [*layout.columns, *EXTRA_COLUMNS]
    yield names
    for line in _lines(content):
        row = orjson.loads(line)
        yield [cell_text(row, name) for name in names]


def _lines(content: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for piece in content:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line.decode() + "\n"
    if rest:
        yield rest.decode()


# --- JSON lines -------------------------------------------------------------------------------------------------------
def _json_lines(records: Iterator[list[str]], numeric: frozenset[int], layout: Layout) -> Iterator[bytes]:
    """An object for each record: cells of numeric columns as numbers, where they are some, and all else as text."""
    names = _distinct(next(records))
    for lot in _lots(records, JSON_ROWS):
        values = ([_value(cell, place, numeric, layout) for place, cell in enumerate(record)] for record in lot)
        yield b"".join(orjson.dumps(dict(zip(names, row, strict=True))) + b"\n" for row in values)


def _value(text: str, place: int, numeric: frozenset[int], layout: Layout) -> str | float | None:
    """Null for an empty cell of the new columns or of a numeric one."""
    if not text and (place in numeric or place >= len(layout.columns)):
        return None
    number = _number(text, place, layout) if place in numeric else None
    if number is None:
        return text
    return int(number) if number.is_integer() and abs(number) <= LARGEST_INTEGER else number


# --- Excel ------------------------------------------------------------------------------------------------------------
_RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="r1" Type="{_RELATION}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATION}">'
    '<sheets><sheet name="Rows" sheetId="1" r:id="r1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="r1" Type="{_RELATION}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
}
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'


def workbook(
    records: Iterable[Sequence[str]], numeric: frozenset[int] = frozenset(), layout: Layout = PLAIN
) -> IO[bytes]:
    """A workbook of one sheet, with a header as its first record. Numbers in `numeric` columns become number cells."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller reads and closes it
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in _PARTS.items():
            archive.writestr(name, _XML + content)
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            sheet.write(f'{_XML}<worksheet xmlns="{_MAIN}"><sheetData>'.encode())
            for number, record in enumerate(records):
                kinds = numeric if number else frozenset()
                cells = "".join(
                    _cell(cell, _number(cell, place, layout) if place in kinds else None)
                    for place, cell in enumerate(record)
                )
                sheet.write(f"<row>{cells}</row>".encode())
            sheet.write(b"</sheetData></worksheet>")
    file.seek(0)
    return file


def _cell(text: str, number: float | None) -> str:
    if not text:
        return "<c/>"
    if number is not None:
        return f"<c><v>{written_number(number, '.')}</v></c>"
    plain = escape(_NO_XML.sub("\ufffd", text[:EXCEL_CELL]))
    return f'<c t="inlineStr"><is><t xml:space="preserve">{plain}</t></is></c>'


# --- Parquet ----------------------------------------------------------------------------------------------------------
def _parquet(records: Iterator[list[str]], numeric: frozenset[int], layout: Layout) -> IO[bytes]:
    """Numbers as float64, all else as text. A cell of a numeric column that is not a number becomes null, and so does
    an empty cell of the new columns, which follow those of the file."""
    import pyarrow as pa  # noqa: PLC0415 - large, and only for this format
    from pyarrow import parquet  # noqa: PLC0415

    names = _distinct(next(records))
    schema = pa.schema([(name, pa.float64() if place in numeric else pa.string()) for place, name in enumerate(names)])
    file = tempfile.TemporaryFile()  # noqa: SIM115
    with parquet.ParquetWriter(file, schema) as writer:
        for lot in _lots(records, PARQUET_ROWS):
            columns = [
                [_number(cell, place, layout) for cell in column]
                if place in numeric
                else [cell or None for cell in column]
                if place >= len(layout.columns)
                else list(column)
                for place, column in enumerate(zip(*lot, strict=True))
            ]
            writer.write_table(pa.table(columns, schema=schema))
    file.seek(0)
    return file


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, each once. The new columns come last and keep their names; those of the file get another one."""
    found: list[str] = []
    for name in reversed(names):
        while name in found:
            name += "_"
        found.append(name)
    return found[::-1]


def _lots(records: Iterator[list[str]], size: int) -> Iterator[list[list[str]]]:
    while lot := list(islice(records, size)):
        yield lot


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(downloads.PIECE):
            yield piece
