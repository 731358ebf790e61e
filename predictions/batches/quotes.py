"""Reads text whose quotes are wrong: a quote that is opened and never closed costs only its own line."""

from collections.abc import Generator

import numpy as np

from predictions.batches.records import (
    Dialect,
    Flaw,
    Piece,
    Read,
    line_breaks,
    pieces_of_records,
    places_of,
    read,
    swallowing,
)
from predictions.serving.schema.sentences import english

# A record that is open where a repaired part ends must end within this many lines. Else its quote is a mistake.
LOOKAHEAD = 30


class _Repair:
    """Reads text whose quotes may be wrong. A quote that is opened by mistake swallows the lines that follow it.
    These lines are read again, without the line of the quote. Lines count from 0 within `text`."""

    def __init__(self, text: bytes, first_line: int, dialect: Dialect) -> None:
        self._lines = text.splitlines(keepends=True)
        self._first, self._dialect = first_line, dialect
        # The lines of records that more text could close.
        self.open_lines: list[int] = []

    def pieces(self) -> list[Piece]:
        return list(self._pieces(0, len(self._lines)))

    def _pieces(self, begin: int, end: int) -> Generator[Piece, None, int]:
        """The pieces of the lines from `begin` to `end`. Returns the next line to read: a cell with line breaks may go
        on beyond `end`."""
        while begin < end:
            begin = yield from self._repaired(self._read(begin, end), begin, end)
        return begin

    def _read(self, begin: int, end: int, rest: bytes = b"") -> Read:
        return read(b"".join([*self._lines[begin:end], rest]), self._dialect)

    def _repaired(self, found: Read, begin: int, end: int) -> Generator[Piece, None, int]:
        """The records of one read. The pieces end early if a repair shows that later records were cut wrongly."""
        breaks = line_breaks(found)
        starts = begin + np.arange(found.records + 1) + np.concatenate([[0], np.cumsum(breaks)])
        numbers, done = self._first + starts, 0
        for record in swallowing(found, breaks, self._dialect):
            yield from pieces_of_records(found, numbers, range(done, record), self._dialect)
            following = int(starts[record + 1])
            reached = yield from self._reread(int(starts[record]), following)
            if reached != following:
                return reached
            done = record + 1
        yield from pieces_of_records(found, numbers, range(done, found.records), self._dialect)
        if found.is_closed:
            return end
        return (yield from self._open_record(int(starts[-1]), end))

    def _reread(self, line: int, end: int) -> Generator[Piece, None, int]:
        message = english(
            "A quote is opened on this line and not closed. Close it, or write it twice to mean the character."
        )
        text = self._lines[line].decode("utf-8", "replace").rstrip("\r\n")
        yield Piece(None, [self._first + line], Flaw("unclosed_quote", message, text))
        return (yield from self._pieces(line + 1, end))

    def _open_record(self, line: int, end: int) -> Generator[Piece, None, int]:
        """A record that is open at `end`: a few more lines complete it, or its quote was opened by mistake."""
        found = self._read(line, line + LOOKAHEAD)
        breaks = line_breaks(found)
        is_whole = found.records > 0 and places_of(found)[:1].tolist() == [0]
        if line + LOOKAHEAD > end and is_whole and 0 not in swallowing(found, breaks, self._dialect):
            yield from pieces_of_records(found, [self._first + line], range(1), self._dialect)
            return line + 1 + int(breaks[0])
        is_cut_off = end == len(self._lines) or line + LOOKAHEAD > len(self._lines)
        if is_cut_off and self._may_go_on(line):
            self.open_lines.append(self._first + line)
        return (yield from self._reread(line, end))

    def _may_go_on(self, line: int) -> bool:
        """Whether the rest of the text is the begin of a valid record: it would be one if its quote were closed here,
        and the cells that it lacks were empty."""
        width = self._dialect.width
        closed = self._read(line, len(self._lines), b'"\n')
        if closed.bad:
            missing = width - closed.bad[0][2]
            closed = self._read(line, len(self._lines), b'"' + self._dialect.delimiter.encode() * missing + b"\n")
        is_one = (closed.records, closed.table.num_rows, closed.is_closed) == (1, 1, True)
        return is_one and not swallowing(closed, line_breaks(closed), self._dialect)


def pieces_of(
    text: bytes, found: Read, first_line: int, dialect: Dialect, *, by_record: bool
) -> tuple[list[Piece], list[int]]:
    """The pieces of a text that was read at once, and the lines of records that more text could close. Wrong quotes are
    repaired."""
    breaks = np.zeros(found.records, dtype=np.int64) if by_record else line_breaks(found)
    if by_record or (found.is_closed and not swallowing(found, breaks, dialect)):
        counted = np.arange(found.records)
        passed = np.concatenate([[0], np.cumsum(breaks)])[: found.records]
        return list(pieces_of_records(found, first_line + counted + passed, range(found.records), dialect)), []
    repair = _Repair(text, first_line, dialect)
    return repair.pieces(), repair.open_lines
