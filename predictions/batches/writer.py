"""Results as delimited text: the columns of the file unchanged, then the new ones, with the guard of `texts`."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from predictions.batches.blocks import Block
from predictions.batches.decoding import shown
from predictions.batches.layout import Layout
from predictions.batches.records import is_damaged, text_of
from predictions.batches.texts import FORMULA, GUARD, NUMBER


def results(block: Block, layout: Layout, columns: Mapping[str, Sequence[Any]]) -> bytes:
    """One line for each row of the block, in its order."""
    return _lines([*block.cells, *(_new(values, layout.decimal) for values in columns.values())], layout.delimiter)


def bad_rows(block: Block, layout: Layout, rows: Sequence[int], errors: Sequence[str]) -> bytes:
    """The unchanged cells of bad rows, then their line and their error."""
    wanted = pa.array(rows, pa.int64())
    cells = [cells.take(wanted) for cells in block.cells]
    lines = pa.array([str(block.lines[row]) for row in rows], pa.string())
    return _lines([*cells, lines, pa.array(errors, pa.string())], layout.delimiter)


def bad_objects(block: Block, rows: Sequence[int], errors: Sequence[str]) -> bytes:
    """Bad rows as JSON lines: the objects with `line` and `error` added. A line without an object has only these."""
    given = block.objects or []
    found = [
        {**(given[row] or {}), "line": int(block.lines[row]), "error": error}
        for row, error in zip(rows, errors, strict=True)
    ]
    return b"".join(orjson.dumps(row) + b"\n" for row in found)


def _new(values: Sequence[Any], decimal: str) -> Any:
    """A column of text: floats with all their digits, with the file's decimal sign; an empty text for None."""
    if all(value is None or isinstance(value, float) for value in values):
        cells = pc.cast(pa.array(values, pa.float64()), pa.string())
        cells = cells if decimal == "." else pc.replace_substring(cells, ".", decimal)
    else:
        cells = pa.array([value if value is None else str(value) for value in values], pa.string())
    return pc.fill_null(cells, "")


# --- Lines ------------------------------------------------------------------------------------------------------------
def _lines(columns: Sequence[Any], delimiter: str) -> bytes:
    if not len(columns[0]):
        return b""
    safe = [_quoted(guarded(_restored(cells)), delimiter) for cells in columns]
    joined = pc.binary_join_element_wise(*safe, delimiter)
    return text_of(pc.binary_join_element_wise(joined, "", "\n")) or b""


def _restored(cells: Any) -> Any:
    """The cells with characters of Latin-1 instead of the marks of damaged bytes."""
    return pa.array(map(shown, cells.to_pylist()), pa.string()) if is_damaged(cells) else cells


def guarded(cells: Any) -> Any:
    data = text_of(cells)
    if data is None or not any(mark in data for mark in (b"=", b"+", b"-", b"@", b"\t", b"\r", b"\n")):
        return cells
    risky = pc.and_(pc.match_substring_regex(cells, FORMULA), pc.invert(pc.match_substring_regex(cells, NUMBER)))
    return pc.if_else(risky, pc.binary_join_element_wise(GUARD, cells, ""), cells) if pc.any(risky).as_py() else cells


def _quoted(cells: Any, delimiter: str) -> Any:
    data = text_of(cells)
    if data is None or not any(mark in data for mark in (b'"', b"\n", b"\r", delimiter.encode())):
        return cells
    needed = pc.match_substring_regex(cells, f'["\\n\\r{delimiter}]')
    doubled = pc.replace_substring(cells, '"', '""')
    return pc.if_else(needed, pc.binary_join_element_wise('"', doubled, '"', ""), cells)
