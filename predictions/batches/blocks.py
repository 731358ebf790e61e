"""Rows of a file as columns of text: the delimited text that pyarrow reads, repaired where its quotes are wrong.

pyarrow must not see where one read of the file ends and the next begins: it loses a line break in quotes there
(apache/arrow issue 51368), and takes all that follows a quote that is never closed for one cell. So the text is cut
here, at line ends; a last row that is known (the sentinel) shows whether each cut fell outside quotes. Remove the
cutting when the issue is closed.
"""

import codecs
import csv
import io
from collections.abc import Generator, Iterator, Sequence
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
# Lines in which a cell with line breaks must end, where a quote was opened by mistake before it.
LOOKAHEAD = 30
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


def first_rows(block: Block, most: int) -> Block:
    flaws = {row: flaw for row, flaw in block.flaws.items() if row < most}
    objects = block.objects[:most] if block.objects is not None else None
    return Block([column.slice(0, most) for column in block.cells], block.lines[:most], flaws, objects)


def parse(
    text: bytes,
    first_line: int,
    dialect: Dialect,
    longest: int = 1 << 20,
    *,
    by_record: bool = False,
    keeps_blank_rows: bool = False,
) -> Block:
    """The rows of a text in UTF-8 that ends with a line end. Rows with a cell of more than `longest` bytes get a flaw;
    those without any text are left out, unless `keeps_blank_rows`.

    `by_record`: lines are numbered by records.
    """
    found = _read(text, dialect)
    block = _assembled(list(_pieces(text, found, first_line, dialect, by_record=by_record)), dialect)
    if not keeps_blank_rows:
        block = _without_blank_rows(block)
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


class _Repair:
    """Reads text whose quotes may be wrong. A quote that is opened by mistake swallows the lines that follow it: they
    are read anew, without the line on which it was opened. Lines count from 0 within `text`."""

    def __init__(self, text: bytes, first_line: int, dialect: Dialect) -> None:
        self._lines = text.split(b"\n")[:-1]
        self._first, self._dialect = first_line, dialect
        # Whether more text could show that a cell goes on behind the end.
        self.needs_more = False

    def pieces(self, begin: int, end: int) -> Generator[_Piece, None, int]:
        """The pieces of the lines from `begin` to `end`. Returns the line behind the last one that was read: a cell
        with line breaks may go on beyond `end`."""
        while begin < end:
            found = _read(b"\n".join(self._lines[begin:end]) + b"\n", self._dialect)
            begin = yield from self._repaired(found, begin, end)
        return begin

    def _repaired(self, found: _Read, begin: int, end: int) -> Generator[_Piece, None, int]:
        """The records of one read; it ends early where a repair shows that the following ones were cut wrongly."""
        breaks = _line_breaks(found)
        starts = begin + np.arange(found.records + 1) + np.concatenate([[0], np.cumsum(breaks)])
        numbers, done = self._first + starts, 0
        for record in _swallowing(found, breaks, self._dialect):
            yield from _records(found, numbers, range(done, record), self._dialect)
            following = int(starts[record + 1])
            reached = yield from self._reread(int(starts[record]), following)
            if reached != following:
                return reached
            done = record + 1
        yield from _records(found, numbers, range(done, found.records), self._dialect)
        if found.is_closed:
            return end
        return (yield from self._open_record(int(starts[-1]), end))

    def _reread(self, line: int, end: int) -> Generator[_Piece, None, int]:
        message = "A quote is opened on this line and not closed. Close it, or write it twice to mean the character."
        text = self._lines[line].decode("utf-8", "replace").rstrip("\r")
        yield _Piece(None, [self._first + line], Flaw("unclosed_quote", message, text))
        return (yield from self.pieces(line + 1, end))

    def _open_record(self, line: int, end: int) -> Generator[_Piece, None, int]:
        """A record that is open at `end`: whole with a few more lines, or opened by mistake."""
        found = _read(b"\n".join(self._lines[line : line + LOOKAHEAD]) + b"\n", self._dialect)
        breaks = _line_breaks(found)
        is_whole = found.records > 0 and _places(found)[:1].tolist() == [0]
        if line + LOOKAHEAD > end and is_whole and 0 not in _swallowing(found, breaks, self._dialect):
            yield from _records(found, [self._first + line], range(1), self._dialect)
            return line + 1 + int(breaks[0])
        self.needs_more |= line + LOOKAHEAD > len(self._lines)
        return (yield from self._reread(line, end))


def _pieces(
    text: bytes, found: _Read, first_line: int, dialect: Dialect, *, by_record: bool
) -> Generator[_Piece, None, None]:
    """All of a text that was read at once; repaired where it needs that."""
    breaks = np.zeros(found.records, dtype=np.int64) if by_record else _line_breaks(found)
    if by_record or (found.is_closed and not _swallowing(found, breaks, dialect)):
        counted = np.arange(found.records)
        passed = np.concatenate([[0], np.cumsum(breaks)])[: found.records]
        yield from _records(found, first_line + counted + passed, range(found.records), dialect)
    else:
        repair = _Repair(text, first_line, dialect)
        yield from repair.pieces(0, text.count(b"\n"))
        found.is_closed = not repair.needs_more


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
