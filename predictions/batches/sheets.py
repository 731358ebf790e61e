"""Reads workbooks (.xlsx, .ods) and Parquet files as rows of text. Libraries are imported when needed."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from itertools import islice
from typing import IO, Any
from xml.parsers.expat import ExpatError

from predictions.batches import xlsx
from predictions.batches.columns import absent, match_columns, read_names
from predictions.batches.content import ACCEPTED
from predictions.batches.decoding import marked
from predictions.batches.layout import Layout, Wishes
from predictions.batches.marks import MERGED, unmarked
from predictions.serving.schema.errors import InvalidInput, Problem
from predictions.serving.schema.request_errors import FileTooLarge, UnsupportedMediaType
from predictions.serving.schema.sentences import english
from predictions.serving.schema.signature import Signature
from predictions.serving.schema.wording import is_storable, printable

# A workbook is unpacked and held in memory as a whole, so its size in the archive's directory is bounded.
UNPACKED_BYTES = 300 * 1024 * 1024
ARCHIVE_FILES = 2000
_MIDNIGHT = r" 00:00:00(\.0+)?(Z|[+-]\d\d:?\d\d)?$"


def archive_format(file: IO[bytes]) -> str:
    """`xlsx` or `ods`. Nothing is unpacked before the sizes in the archive's directory have been added up.

    Raises:
        UnsupportedMediaType: the file is not a workbook.
        FileTooLarge: the workbook unpacks to more than the limit.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError):
        raise UnsupportedMediaType(english("This file is a damaged archive. {remedy}", remedy=ACCEPTED)) from None
    names = {entry.filename for entry in entries}
    if not names & {"xl/workbook.xml", "content.xml"}:
        raise UnsupportedMediaType(english("This file is an archive without a workbook. {remedy}", remedy=ACCEPTED))
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > UNPACKED_BYTES or len(entries) > ARCHIVE_FILES:
        raise FileTooLarge(
            english(
                "This workbook unpacks to {size} MB; at most {most} MB can be read. Save it as CSV or Parquet.",
                size=unpacked // 1024**2,
                most=UNPACKED_BYTES // 1024**2,
            )
        )
    return "xlsx" if "xl/workbook.xml" in names else "ods"


def workbook_layout(file: IO[bytes], kind: Any, signature: Signature, wishes: Wishes) -> Layout:
    """The layout of a workbook. Raises InvalidInput if there is no such sheet, or if the header lacks features."""
    book = _workbook(file)
    if not all(map(is_storable, book.sheet_names)):
        message = english("The name of a sheet has a character that cannot be stored. Correct it.")
        raise InvalidInput([Problem(None, "wrong_type", message, "/file")])
    if wishes.sheet is not None and wishes.sheet not in book.sheet_names:
        message = english(
            "There is no sheet “{name}”; there are: {names}.",
            name=printable(wishes.sheet),
            names=printable(", ".join(book.sheet_names)),
        )
        raise InvalidInput([Problem(None, "unknown_sheet", message, "/sheet")])
    sheet = wishes.sheet or book.sheet_names[0]
    found = ((number, row) for number, row in enumerate(_grid(file, book, sheet, kind), 1) if any(row))
    number, first = next(found, (1, []))
    head = read_names(list(map(unmarked, first)), signature)
    if not any(head):
        message = english("The sheet “{name}” is empty.", name=printable(sheet))
        raise InvalidInput([Problem(None, "empty_file", message, "/file")])
    matched = match_columns(head, signature)
    return Layout(
        format=kind,
        sheet=sheet,
        sheets=book.sheet_names,
        columns=head,
        matched=matched,
        absent=absent(matched, signature),
        line=number + 1,
    )


def parquet_layout(file: IO[bytes], signature: Signature) -> Layout:
    """The layout of a Parquet file. Raises InvalidInput, or UnsupportedMediaType for a damaged file."""
    try:
        names = read_names(_parquet(file).schema_arrow.names, signature)
    except UnicodeDecodeError:
        message = english("The name of a column is not UTF-8. Correct it.")
        raise InvalidInput([Problem(None, "wrong_type", message, "/file")]) from None
    matched = match_columns(names, signature)
    return Layout(format="parquet", columns=names, matched=matched, absent=absent(matched, signature))


def rows(file: IO[bytes], layout: Layout, skipped: int) -> Iterator[list[str]]:
    """The rows after the header, as text, without the first `skipped`. Numbers get the decimal sign of the layout."""
    if layout.format == "parquet":
        yield from islice(_parquet_rows(file, layout), skipped, None)
        return
    grid = _grid(file, _workbook(file), layout.sheet or "", layout.format, layout)
    width = len(layout.columns)
    for row in islice(grid, layout.line - 1 + skipped, None):
        yield (row + [""] * width)[:width]


def _workbook(file: IO[bytes]) -> Any:
    from python_calamine import CalamineWorkbook  # noqa: PLC0415 - only where workbooks are read

    with _refusals():
        file.seek(0)
        return CalamineWorkbook.from_filelike(file)


def _grid(file: IO[bytes], book: Any, sheet: str, kind: str, layout: Layout | None = None) -> Iterator[list[str]]:
    """All rows of a sheet as text, with the decimal sign of the layout. Cells that are shown but have no value are
    marked."""
    with _refusals():
        found = book.get_sheet_by_name(sheet)
        cells = found.to_python(skip_empty_area=False)
        marks = xlsx.marks(file, sheet) if kind == "xlsx" else {}
        _add_merged(marks, found.merged_cell_ranges or [], len(cells), len(cells[0]) if cells else 0)
    for number in range(max([len(cells), *(row + 1 for row in marks)])):
        row = [_text(cell, layout) for cell in cells[number]] if number < len(cells) else []
        for place, mark in marks.get(number, {}).items():
            row += [""] * (place + 1 - len(row))
            row[place] = mark
        yield row


def _add_merged(marks: xlsx.Marks, ranges: Any, rows: int, columns: int) -> None:
    """Mark the cells of each range but its first, which has the value. Raises ValueError if ranges overlap."""
    left = rows * columns
    for (top, first), (bottom, last) in ranges:
        for row in range(top, min(bottom + 1, rows)):
            for place in range(first, min(last + 1, columns)):
                left -= 1
                if (row, place) != (top, first):
                    marks.setdefault(row, {}).setdefault(place, MERGED)
            if left < 0:
                raise ValueError("merged cells overlap")


@contextmanager
def _refusals() -> Iterator[None]:
    """Turns errors of the library into UnsupportedMediaType, which says why the workbook cannot be read."""
    from python_calamine import CalamineError  # noqa: PLC0415 - only where workbooks are read

    try:
        yield
    except (CalamineError, ExpatError, OSError, ValueError, KeyError) as error:
        why = printable(error)
        raise UnsupportedMediaType(
            english("This workbook cannot be read: {why}. {remedy}", why=why, remedy=ACCEPTED)
        ) from None


def _text(cell: Any, layout: Layout | None = None) -> str:
    """The cell as a CSV file would have it: 20 instead of 20.0, dates by ISO 8601."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        return layout.written(cell) if layout else repr(cell).removesuffix(".0")
    if isinstance(cell, datetime) and cell.time() == datetime.min.time():
        cell = cell.date()
    return cell.isoformat() if isinstance(cell, date) else str(cell)


def _parquet(file: IO[bytes]) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - large
    from pyarrow import parquet  # noqa: PLC0415

    try:
        file.seek(0)
        return parquet.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        why = printable(error)
        raise UnsupportedMediaType(
            english("This Parquet file cannot be read: {why}. {remedy}", why=why, remedy=ACCEPTED)
        ) from None


def _parquet_rows(file: IO[bytes], layout: Layout) -> Iterator[list[str]]:
    for batch in _parquet(file).iter_batches(5_000):
        yield from zip(*(_texts(column, layout) for column in batch.columns), strict=True)


def _texts(column: Any, layout: Layout) -> list[str]:
    import pyarrow as pa  # noqa: PLC0415

    column = _with_dates_and_gaps(column)
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    written = layout.written if pa.types.is_floating(kind) or pa.types.is_decimal(kind) else str
    try:
        return ["" if text is None else written(text) for text in column.cast(pa.string()).to_pylist()]
    except (pa.ArrowException, UnicodeDecodeError):
        pass
    try:
        texts = column.cast(pa.binary()).to_pylist()  # cells of bytes that are not UTF-8
    except pa.ArrowException:
        return ["" if value is None else str(value) for value in column.to_pylist()]  # a list or a structure
    return ["" if text is None else marked(text) for text in texts]


def _with_dates_and_gaps(column: Any) -> Any:
    """The column with null for NaN, which is how pandas stores a missing number; and with dates as text for times at
    midnight, as in a workbook."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    if pa.types.is_floating(column.type):
        column = column.cast(pa.float32()) if pa.types.is_float16(column.type) else column
        return pc.if_else(pc.is_nan(column), None, column)
    if pa.types.is_timestamp(column.type):
        return pc.replace_substring_regex(column.cast(pa.string()), _MIDNIGHT, "")
    return column
