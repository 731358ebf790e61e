"""Rows of a file as columns of text: the delimited text that pyarrow reads, repaired where its quotes are wrong.

pyarrow must not see where one read of the file ends and the next begins: it loses a line break in quotes there
(apache/arrow issue 51368), and takes all that follows a quote that is never closed for one cell. So the text is cut
here, at line ends; a last row that is known (the sentinel) shows whether each cut fell outside quotes. Remove the
cutting when the issue is closed.
"""

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pa_csv

from predictions.serving.schema.wording import printable

SENTINEL = "\x1aend of block\x1a"
# A byte that the encoding does not know is kept as one of these characters, of a range that is for private use.
DAMAGED = 0xF700
DAMAGED_CHARACTERS = f"[{chr(DAMAGED + 0x80)}-{chr(DAMAGED + 0xFF)}]"
Lines = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why a row could not be read as cells, with the text that stands there."""

    code: str
    message: str
    text: str = ""


@dataclass(slots=True)
class Block:
    """Rows in the order of the file. `cells` has a text column for each column of the file; `lines` and `flaws` go by
    row. `objects` are the rows of JSON, whose values have types; None for text. `is_closed` is false where the text
    ends within quotes."""

    cells: list[Any]
    lines: Lines
    flaws: dict[int, Flaw] = field(default_factory=dict)
    objects: list[dict[str, Any] | None] | None = None
    is_closed: bool = True

    @property
    def rows(self) -> int:
        return len(self.lines)


@dataclass(frozen=True, slots=True)
class Dialect:
    """`multiline` are the positions of the columns whose cells may have line breaks."""

    delimiter: str
    width: int
    multiline: frozenset[int]


@dataclass(slots=True)
class _Piece:
    """Rows that were read together, or one row with a flaw (then `table` is None)."""

    table: Any
    lines: Sequence[int] | Lines
    flaw: Flaw | None = None


@dataclass(slots=True)
class _Read:
    table: Any
    bad: list[tuple[int, str, int]]  # number of the record from 0, its text, its cells
    is_closed: bool

    @property
    def records(self) -> int:
        return int(self.table.num_rows) + len(self.bad)


def parse(text: bytes, first_line: int, dialect: Dialect, longest: int = 1 << 20, *, by_record: bool = False) -> Block:
    """The rows of a text in UTF-8 that ends with a line end. Rows without any text are left out; those with a cell of
    more than `longest` bytes get a flaw.

    `by_record`: lines are numbered by records.
    """
    found = _read(text, dialect)
    block = _without_blank_rows(
        _assembled(list(_pieces(text, found, first_line, dialect, by_record=by_record)), dialect)
    )
    block.is_closed = found.is_closed
    for column in block.cells:
        _refuse_long_cells(block, column, longest)
    return block


def _refuse_long_cells(block: Block, column: Any, longest: int) -> None:
    lengths = pc.binary_length(column)
    if (pc.max(lengths).as_py() or 0) > longest:
        message = f"A cell is longer than {longest} bytes, which is the most that can be read."
        for row in pc.indices_nonzero(pc.greater(lengths, longest)).to_pylist():
            block.flaws.setdefault(row, Flaw("cell_too_long", message))


def decoded(raw: bytes, encoding: str, newline: str) -> bytes:
    """In UTF-8, with damaged characters marked."""
    if encoding == "utf-8" and newline == "\n":
        try:
            raw.decode()
        except UnicodeDecodeError:
            pass
        else:
            return raw
    text = raw.decode(encoding, "foretell.damaged")
    return (text if newline == "\n" else text.replace(newline, "\n")).encode("utf-8", "replace")


def _mark_damage(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    damaged = error.object[error.start : error.end]
    return "".join(chr(DAMAGED + (byte | 0x80)) for byte in damaged), error.end


codecs.register_error("foretell.damaged", _mark_damage)


def shown(text: str) -> str:
    """Text with damaged characters as Latin-1 would show them."""
    return "".join(
        chr(ord(character) - DAMAGED) if DAMAGED + 0x80 <= ord(character) <= DAMAGED + 0xFF else character
        for character in text
    )


# --- Reading ----------------------------------------------------------------------------------------------------------
def _read(text: bytes, dialect: Dialect) -> _Read:
    bad: list[tuple[int, str, int]] = []

    def skip(row: Any) -> str:
        bad.append((row.number - 1, row.text, row.actual_columns))
        return "skip"

    names = [str(place) for place in range(dialect.width)]
    end = (SENTINEL + dialect.delimiter * (dialect.width - 1) + "\n").encode()
    content = text + end
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
    except pa.ArrowInvalid:  # the only row goes on to the end
        return _Read(_empty(names), [], is_closed=False)
    return _without_sentinel(table, bad)


def _without_sentinel(table: Any, bad: list[tuple[int, str, int]]) -> _Read:
    """The sentinel is the last row, or else a part of it: then that row is left out too, since its quote is open."""
    if bad and SENTINEL in bad[-1][1]:
        return _Read(table, bad[:-1], is_closed=False)
    last = table.slice(table.num_rows - 1)
    is_closed = table.num_rows > 0 and last.column(0)[0].as_py() == SENTINEL
    return _Read(table.slice(0, max(table.num_rows - 1, 0)), bad, is_closed)


def _empty(names: Sequence[str]) -> Any:
    return pa.table({name: pa.array([], pa.string()) for name in names})


def _pieces(
    text: bytes, found: _Read, first_line: int, dialect: Dialect, *, by_record: bool = False
) -> Iterator[_Piece]:
    """What was read, in order. Where a quote is open by mistake, it has swallowed the lines that follow: those are read
    anew, without the line on which it was opened."""
    extra = _line_breaks(found)
    if by_record:
        yield from _records(found, first_line + np.arange(found.records), range(found.records), dialect)
        return
    starts = first_line + np.arange(found.records) + np.concatenate([[0], np.cumsum(extra)])[: found.records]
    swallowing = _swallowing(found, extra, dialect)
    done = 0
    lines = text.split(b"\n") if swallowing or not found.is_closed else []
    for record in swallowing:
        yield from _records(found, starts, range(done, record), dialect)
        begin = int(starts[record]) - first_line
        yield from _reread(lines[begin : begin + int(extra[record]) + 1], int(starts[record]), dialect)
        done = record + 1
    yield from _records(found, starts, range(done, found.records), dialect)
    if not found.is_closed:
        begin = found.records + int(extra.sum())
        yield from _reread(lines[begin:-1], first_line + begin, dialect)


def _reread(lines: Sequence[bytes], first_line: int, dialect: Dialect) -> Iterator[_Piece]:
    text = lines[0].decode("utf-8", "replace").rstrip("\r")
    message = "A quote is opened on this line and not closed. Close it, or write it twice to mean the character."
    yield _Piece(None, [first_line], Flaw("unclosed_quote", message, text))
    if len(lines) > 1:
        rest = b"\n".join(lines[1:]) + b"\n"
        yield from _pieces(rest, _read(rest, dialect), first_line + 1, dialect)


def _line_breaks(found: _Read) -> npt.NDArray[np.int64]:
    """Line breaks within each record, valid and invalid ones, in order."""
    valid = np.zeros(found.table.num_rows, dtype=np.int64)
    for column in found.table.columns:
        if _holds(column, b"\n"):
            valid += pc.count_substring(column, "\n").to_numpy()
    breaks = np.zeros(found.records, dtype=np.int64)
    breaks[_places(found)] = valid
    for number, text, _ in found.bad:
        breaks[number] = text.count("\n")
    return breaks


def _places(found: _Read) -> npt.NDArray[np.intp]:
    """The record of each row of the table."""
    is_valid = np.ones(found.records, dtype=bool)
    is_valid[[number for number, _, _ in found.bad]] = False
    return np.flatnonzero(is_valid)


def _swallowing(found: _Read, extra: npt.NDArray[np.int64], dialect: Dialect) -> list[int]:
    """The records that go over several lines where no cell may: of another length, or with a break in a number."""
    if not extra.any():
        return []
    suspects = {number for number, text, _ in found.bad if "\n" in text}
    places = _places(found)
    for place, column in enumerate(found.table.columns):
        if place not in dialect.multiline and _holds(column, b"\n"):
            broken = pc.match_substring(column, "\n").to_numpy()
            suspects |= set(places[broken].tolist())
    return sorted(suspects)


def _records(found: _Read, starts: Any, wanted: range, dialect: Dialect) -> Iterator[_Piece]:
    """Some records as pieces: the rows of the table, and between them each record of another length."""
    if not wanted:
        return
    places = _places(found)
    done = wanted.start
    for number, text, cells in [bad for bad in found.bad if bad[0] in wanted]:
        yield from _rows(found, places, starts, done, number)
        yield _Piece(None, [int(starts[number])], _wrong_length(text, cells, dialect))
        done = number + 1
    yield from _rows(found, places, starts, done, wanted.stop)


def _rows(found: _Read, places: Any, starts: Any, begin: int, end: int) -> Iterator[_Piece]:
    low, high = np.searchsorted(places, [begin, end])
    if high > low:
        yield _Piece(found.table.slice(low, high - low), starts[begin:end])


def _wrong_length(text: str, cells: int, dialect: Dialect) -> Flaw:
    which = "short_line" if cells < dialect.width else "long_line"
    message = f"This line has {cells} cells where the header has {dialect.width}."
    if cells > dialect.width:
        surplus = split(text, dialect.delimiter)[dialect.width :]
        message += f" Too many: {printable(' '.join(surplus))}."
    return Flaw(which, message, text)


def split(text: str, delimiter: str) -> list[str]:
    """The cells of one line, as well as they can be told."""
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    except csv.Error:
        return text.split(delimiter)


# --- Putting together -------------------------------------------------------------------------------------------------
def _assembled(pieces: Sequence[_Piece], dialect: Dialect) -> Block:
    names = [str(place) for place in range(dialect.width)]
    tables, lines, flaws = [], [], {}
    row = 0
    for piece in pieces:
        if piece.flaw:
            flaws[row] = piece.flaw
            cells = split(piece.flaw.text, dialect.delimiter)[: dialect.width]
            cells += [""] * (dialect.width - len(cells))
            tables.append(
                pa.table({name: pa.array([cell], pa.string()) for name, cell in zip(names, cells, strict=True)})
            )
        else:
            tables.append(piece.table)
        lines.append(np.asarray(piece.lines, dtype=np.int64))
        row += len(piece.lines)
    table = pa.concat_tables(tables).combine_chunks() if tables else _empty(names)
    columns = [_whole(column) for column in table.columns]
    return Block(columns, np.concatenate(lines) if lines else np.zeros(0, dtype=np.int64), flaws)


def _whole(column: Any) -> Any:
    """A column without chunks, whose buffers begin at its first cell."""
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], pa.string())


def _without_blank_rows(block: Block) -> Block:
    blank = np.ones(block.rows, dtype=bool)
    for column in block.cells:
        blank &= pc.equal(pc.binary_length(column), 0).to_numpy(zero_copy_only=False)
        if not blank.any():
            return block
    kept = np.flatnonzero(~blank | np.isin(np.arange(block.rows), list(block.flaws)))
    if len(kept) == block.rows:
        return block
    place = {int(old): new for new, old in enumerate(kept)}
    cells = [column.take(pa.array(kept)) for column in block.cells]
    return Block(cells, block.lines[kept], {place[row]: flaw for row, flaw in block.flaws.items()})


def _holds(column: Any, mark: bytes) -> bool:
    """Whether the text of a column has these bytes, in any cell: a search of its memory."""
    return any(contains(chunk, mark) for chunk in column.chunks)


def contains(cells: Any, mark: bytes) -> bool:
    """`_holds` for one array."""
    data = text_of(cells)
    return data is not None and mark in data


def text_of(cells: Any) -> bytes | None:
    """All cells of an array, one after the other."""
    _, offsets, data = cells.buffers()
    if data is None or not len(cells):
        return None
    bounds = np.frombuffer(offsets, dtype=np.int32)[cells.offset : cells.offset + len(cells) + 1]
    return bytes(memoryview(data)[int(bounds[0]) : int(bounds[-1])])
