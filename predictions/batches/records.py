"""Reads records of delimited text with pyarrow: rows of the right length, and records of a wrong length.

pyarrow loses a line break in quotes where one of its blocks ends (apache/arrow issue 51368), and it reads everything
after an unclosed quote as one cell. So the text is cut at line ends, and each part is read as one block. A known last
row (the sentinel) shows whether the cut fell outside quotes. Remove the cutting when the issue is closed.
"""

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pa_csv

from predictions.batches import line_ends
from predictions.serving.schema.sentences import english
from predictions.serving.schema.wording import printable

# Line ends, and how often each counts: \r\n is one, although it is found as \r and as \n too.
LINE_ENDS = {"\n": 1, "\r": 1, "\r\n": -1}
SENTINEL = "\x1aend of block\x1a"
Lines = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Flaw:
    """The reason why a row could not be read as cells, with the text of the row."""

    code: str
    message: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Dialect:
    """`multiline` are the positions of the columns whose cells may have line breaks."""

    delimiter: str
    width: int
    multiline: frozenset[int]


@dataclass(slots=True)
class Piece:
    """Rows that were read together, or one row with a flaw (then `table` is None)."""

    table: Any
    lines: Sequence[int] | Lines
    flaw: Flaw | None = None


@dataclass(slots=True)
class Read:
    table: Any
    bad: list[tuple[int, str, int]]  # number of the record from 0, its text, its number of cells
    is_closed: bool

    @property
    def records(self) -> int:
        return int(self.table.num_rows) + len(self.bad)


def read(text: bytes, dialect: Dialect) -> Read:
    """Reads a text that begins at any line of a file. pyarrow skips a byte order mark at the start. So one is added: a
    mark in the first cell of `text` then stays there, as in every other cell."""
    bad: list[tuple[int, str, int]] = []

    def skip(row: Any) -> str:
        bad.append((row.number - 1, row.text, row.actual_columns))
        return "skip"

    names = [str(place) for place in range(dialect.width)]
    end = (SENTINEL + dialect.delimiter * (dialect.width - 1) + "\n").encode()
    content = codecs.BOM_UTF8 + text + end
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(content),
            pa_csv.ReadOptions(use_threads=False, block_size=len(content) + 1, column_names=names),
            pa_csv.ParseOptions(
                delimiter=dialect.delimiter,
                newlines_in_values=True,
                ignore_empty_lines=False,
                invalid_row_handler=skip,
            ),
            pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        ).combine_chunks()
    except pa.ArrowInvalid:  # the only row is still open at the end
        return Read(empty(names), [], is_closed=False)
    return _without_sentinel(table, bad)


def _without_sentinel(table: Any, bad: list[tuple[int, str, int]]) -> Read:
    """Removes the last row: the sentinel, or a row with an open quote, of which the sentinel became a part."""
    if bad and SENTINEL in bad[-1][1]:
        return Read(table, bad[:-1], is_closed=False)
    last = table.slice(table.num_rows - 1)
    is_closed = table.num_rows > 0 and last.column(0)[0].as_py() == SENTINEL
    return Read(table.slice(0, max(table.num_rows - 1, 0)), bad, is_closed)


def empty(names: Sequence[str]) -> Any:
    return pa.table({name: pa.array([], pa.string()) for name in names})


def line_breaks(found: Read) -> npt.NDArray[np.int64]:
    """Line breaks within each record, valid and invalid ones, in order."""
    valid = np.zeros(found.table.num_rows, dtype=np.int64)
    for column in found.table.columns:
        for mark, times in LINE_ENDS.items():
            if holds(column, mark.encode()):
                valid += times * pc.count_substring(column, mark).to_numpy()
    breaks = np.zeros(found.records, dtype=np.int64)
    breaks[places_of(found)] = valid
    for number, text, _ in found.bad:
        breaks[number] = line_ends.count(text)
    return breaks


def places_of(found: Read) -> npt.NDArray[np.intp]:
    """The number of the record of each row in the table."""
    is_valid = np.ones(found.records, dtype=bool)
    is_valid[[number for number, _, _ in found.bad]] = False
    return np.flatnonzero(is_valid)


def swallowing(found: Read, extra: npt.NDArray[np.int64], dialect: Dialect) -> list[int]:
    """The records with a line break that must not be: in a record of a wrong length, or in a column of single lines."""
    if not extra.any():
        return []
    suspects = {number for number, _, _ in found.bad if extra[number]}
    places = places_of(found)
    for place, column in enumerate(found.table.columns):
        if place not in dialect.multiline and (holds(column, b"\n") or holds(column, b"\r")):
            broken = pc.match_substring_regex(column, "[\r\n]").to_numpy()
            suspects |= set(places[broken].tolist())
    return sorted(suspects)


def pieces_of_records(found: Read, starts: Any, wanted: range, dialect: Dialect) -> Iterator[Piece]:
    """Some records as pieces: the rows of the table, and between them each record of a wrong length."""
    if not wanted:
        return
    places = places_of(found)
    done = wanted.start
    for number, text, cells in [bad for bad in found.bad if bad[0] in wanted]:
        yield from _rows(found, places, starts, done, number)
        yield Piece(None, [int(starts[number])], _wrong_length(text, cells, dialect))
        done = number + 1
    yield from _rows(found, places, starts, done, wanted.stop)


def _rows(found: Read, places: Any, starts: Any, begin: int, end: int) -> Iterator[Piece]:
    low, high = np.searchsorted(places, [begin, end])
    if high > low:
        yield Piece(found.table.slice(low, high - low), starts[begin:end])


def _wrong_length(text: str, cells: int, dialect: Dialect) -> Flaw:
    which = "short_line" if cells < dialect.width else "long_line"
    if cells > dialect.width:
        message = english(
            "This line has {cells} cells where the header has {width}. Too many: {surplus}.",
            cells=cells,
            width=dialect.width,
            surplus=printable(" ".join(split(text, dialect.delimiter)[dialect.width :])),
        )
    else:
        message = english("This line has {cells} cells where the header has {width}.", cells=cells, width=dialect.width)
    return Flaw(which, message, text)


def split(text: str, delimiter: str) -> list[str]:
    """The cells of one line; a simple split at the delimiter if the line is not valid CSV."""
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    except csv.Error:
        return text.split(delimiter)


def holds(column: Any, mark: bytes) -> bool:
    """Whether any cell of a column has these bytes. The search is over the memory of all cells."""
    return any(contains(chunk, mark) for chunk in column.chunks)


def contains(cells: Any, mark: bytes) -> bool:
    """`holds` for one array."""
    data = text_of(cells)
    return data is not None and mark in data


def is_damaged(cells: Any) -> bool:
    """Whether any cell may hold a mark of `decoding` or `marks`, by the first bytes of the marks in UTF-8."""
    return any(contains(cells, start) for start in (b"\xef\x9e", b"\xef\x9f", b"\xef\xb7"))


def text_of(cells: Any) -> bytes | None:
    """All cells of an array, one after the other."""
    _, offsets, data = cells.buffers()
    if data is None or not len(cells):
        return None
    bounds = np.frombuffer(offsets, dtype=np.int32)[cells.offset : cells.offset + len(cells) + 1]
    return bytes(memoryview(data)[int(bounds[0]) : int(bounds[-1])])
