"""Rows of a file as columns of text, in the order of the file."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from predictions.batches.quotes import pieces_of
from predictions.batches.records import Dialect, Flaw, Lines, Piece, empty, read, split
from predictions.serving.schema.sentences import english


@dataclass(slots=True)
class Block:
    """Rows in the order of the file. `cells` has a text column for each column of the file; `lines` has the line of
    each row; `flaws` has the flaw of each flawed row. `objects` are the rows of JSON, whose values have types; None for
    text. `open_lines` are the lines of records that are open at the end of the text: more text might close them. As
    rows they count as mistakes in quotes."""

    cells: list[Any]
    lines: Lines
    flaws: dict[int, Flaw] = field(default_factory=dict)
    objects: list[dict[str, Any] | None] | None = None
    open_lines: list[int] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return len(self.lines)


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
    rows without any text are left out, unless `keeps_blank_rows`.

    `by_record`: lines are counted by records, not by line breaks.
    """
    found = read(text, dialect)
    pieces, open_lines = pieces_of(text, found, first_line, dialect, by_record=by_record)
    block = _assembled(pieces, dialect)
    if not keeps_blank_rows:
        block = _without_blank_rows(block)
    block.open_lines = open_lines
    for column in block.cells:
        _refuse_long_cells(block, column, longest)
    return block


def _refuse_long_cells(block: Block, column: Any, longest: int) -> None:
    lengths = pc.binary_length(column)
    if (pc.max(lengths).as_py() or 0) > longest:
        message = english("A cell is longer than {longest} bytes, which is the most that can be read.", longest=longest)
        for row in pc.indices_nonzero(pc.greater(lengths, longest)).to_pylist():
            block.flaws.setdefault(row, Flaw("cell_too_long", message))


def _assembled(pieces: Sequence[Piece], dialect: Dialect) -> Block:
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
    table = pa.concat_tables(tables).combine_chunks() if tables else empty(names)
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
