"""The first rows of a file and their problems, before it is sent. This module needs pyarrow: import it late."""

from dataclasses import dataclass
from typing import IO, Any

from predictions.batches import line_ends
from predictions.batches.cells import check, what_stood_there
from predictions.batches.decoding import shown
from predictions.batches.layout import Layout
from predictions.batches.opening import preview_rows
from predictions.batches.reader import count_lines
from predictions.serving.schema.signature import Signature

# The table shows this many rows; the others are only checked.
TABLE_ROWS = 10
# The lines of a larger file are not counted but estimated.
COUNTED_BYTES = 64 * 1024 * 1024
PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Preview:
    """`total` is the number of rows, estimated for a large file; None for workbooks and Parquet files."""

    layout: Layout
    lines: list[int]
    table: list[list[str]]
    problems: list[dict[str, Any]]
    looked_at: int
    total: int | None


def look(file: IO[bytes], layout: Layout, signature: Signature) -> Preview:
    block = preview_rows(file, layout, signature)
    checked = check(block, layout, signature, as_array=False)
    problems = [
        {
            "line": int(block.lines[row]),
            "column": problem.feature or "",
            "code": problem.code,
            "message": problem.message,
            "text": what_stood_there(block, layout, signature, row, problem)[:80],
        }
        for row, found in sorted(checked.problems.items())
        for problem in found
    ]
    table = [[shown(column[row].as_py())[:40] for column in block.cells] for row in range(min(block.rows, TABLE_ROWS))]
    return Preview(layout, block.lines[:TABLE_ROWS].tolist(), table, problems, block.rows, _total(file, layout))


def _total(file: IO[bytes], layout: Layout) -> int | None:
    if layout.counts_records:
        return None
    size = file.seek(0, 2) - layout.start
    file.seek(layout.start)
    lines, read, is_ended = 0, 0, True
    while read < COUNTED_BYTES and (piece := line_ends.read(file, PIECE_BYTES, layout.encoding)):
        count, is_ended = count_lines(piece, layout)
        lines, read = lines + count, read + len(piece)
    lines += not is_ended
    return lines if read >= size else int(round(lines * size / read, -3))
