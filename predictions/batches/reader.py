"""Reads a file of any size chunk by chunk: `parts` finds the chunks, and `rows` reads the rows of one.

Delimited text and JSON lines are read in place. A workbook or a Parquet file is first converted to delimited
text, part by part.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any

import numpy as np
import orjson
import pyarrow as pa
from django.conf import settings

from predictions.batches import delimited, line_ends, sheets
from predictions.batches.blocks import Block, parse
from predictions.batches.decoding import decoded
from predictions.batches.layout import Layout
from predictions.batches.records import Dialect, Flaw
from predictions.batches.texts import cell_text
from predictions.serving.schema.sentences import english
from predictions.serving.schema.signature import Signature, Text

# The most rows of a chunk; and the numbers of bytes that are read at once: at first, at least and at most.
CHUNK_ROWS = 10_000
FIRST_WINDOW, SMALLEST_WINDOW, LARGEST_WINDOW = 256 * 1024, 4096, 4 * 1024 * 1024
# If a record with line breaks is not closed within this many bytes, its quote counts as a mistake.
RECORD_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """A chunk that was found: bytes of the file, or converted `content`."""

    offset: int
    length: int
    line: int
    lines: int
    rows: int
    content: bytes | None = None


def dialect_of(layout: Layout, signature: Signature) -> Dialect:
    """Only cells of text features, and of columns that are not a feature, may have line breaks."""
    single = {
        place
        for feature, place in zip(signature.features, layout.matched, strict=True)
        if place is not None and not isinstance(feature, Text)
    }
    width = len(layout.columns)
    return Dialect(layout.delimiter, width, frozenset(range(width)) - single)


def parts(file: IO[bytes], layout: Layout, signature: Signature, offset: int, line: int, most: int) -> Iterator[Part]:
    """The chunks of a file from `offset` on, which counts bytes; in a workbook or a Parquet file it counts rows."""
    if layout.counts_records:
        yield from _converted(file, layout, offset, line, most)
    else:
        yield from _ranges(file, layout, signature, offset, line, most)


# --- Text and JSON lines ----------------------------------------------------------------------------------------------
def _ranges(file: IO[bytes], layout: Layout, signature: Signature, offset: int, line: int, most: int) -> Iterator[Part]:
    window = min(FIRST_WINDOW, LARGEST_WINDOW if most >= CHUNK_ROWS else most * 64)
    size = file.seek(0, 2)
    while offset < size:
        raw, found = records(file, offset, size, layout, signature, line, max(window, SMALLEST_WINDOW))
        count, is_ended = count_lines(raw, layout)
        lines = count + (not is_ended)
        yield Part(offset, len(raw), line, lines, found)
        offset, line = offset + len(raw), line + lines
        window = int(min(max(len(raw) / max(found, 1) * most, SMALLEST_WINDOW), LARGEST_WINDOW))


def records(
    file: IO[bytes], offset: int, size: int, layout: Layout, signature: Signature, line: int, window: int
) -> tuple[bytes, int]:
    """The bytes of whole records from `offset` on, and the number of rows in them. A record that may go on behind the
    window is left to the next part. If it is the first one, more is read. If that does not close it, its quote counts
    as a mistake."""
    first = raw = _lines(file, offset, size, window, layout)
    block = rows(raw, line, layout, signature)
    while line in block.open_lines and offset + len(raw) < size:
        if len(raw) > RECORD_BYTES:
            raw, block = first, rows(first, line, layout, signature)
            break
        raw = _lines(file, offset, size, 2 * max(window, len(raw)), layout)
        block = rows(raw, line, layout, signature)
    later = [one for one in block.open_lines if one > line]
    if not later or offset + len(raw) == size:
        return raw, block.rows
    end = int(line_ends.positions(raw, layout.encoding)[later[0] - line - 1])
    return raw[:end], int(np.searchsorted(block.lines, later[0]))


def _lines(file: IO[bytes], offset: int, size: int, window: int, layout: Layout) -> bytes:
    """The whole lines of a window of the file. If it has no line end, more is read: a line, or the most that a line of
    the longest cells has."""
    file.seek(offset)
    raw = b""
    while more := line_ends.read(file, window if not raw else LARGEST_WINDOW, layout.encoding):
        raw += more
        found = line_ends.positions(raw, layout.encoding)
        if len(found) and offset + len(raw) < size:
            return raw[: int(found[-1])]
        if len(raw) > settings.BATCH_COLUMNS * settings.BATCH_CELL_BYTES:
            break
    return raw


def count_lines(raw: bytes, layout: Layout) -> tuple[int, bool]:
    """How many line ends these bytes of a file have, and whether the last bytes are one."""
    found = line_ends.positions(raw, layout.encoding)
    return len(found), len(found) > 0 and int(found[-1]) == len(raw)


def rows(raw: bytes, line: int, layout: Layout, signature: Signature) -> Block:
    """The rows of one chunk."""
    text = decoded(raw, layout.encoding)
    if text and not text.endswith(b"\n"):
        text += b"\n"
    if layout.format == "jsonl":
        return _json_rows(text, line, layout)
    dialect = dialect_of(layout, signature)
    longest, is_table = settings.BATCH_CELL_BYTES, layout.format == "parquet"
    return parse(text, line, dialect, longest, by_record=layout.counts_records, keeps_blank_rows=is_table)


def _json_rows(text: bytes, line: int, layout: Layout) -> Block:
    objects: list[Any] = []
    lines, flaws = [], {}
    for number, one in enumerate(text.splitlines(), line):
        if not one.strip():
            continue
        try:
            objects.append(_object(one, layout))
        except ValueError as error:
            objects.append(None)
            message = english("This line cannot be read: {why}.", why=error)
            flaws[len(objects) - 1] = Flaw("not_json", message, one.decode("utf-8", "replace"))
        lines.append(number)
    cells = [pa.array([cell_text(row, name) for row in objects], pa.string()) for name in layout.columns]
    return Block(cells, np.array(lines, dtype=np.int64), flaws, objects)


def _object(line: bytes, layout: Layout) -> dict[str, Any]:
    """A row under the names that the file has for the features, which may be spelled in their own way."""
    found = orjson.loads(line)
    if isinstance(found, list):
        names = [layout.columns[place] for place in layout.matched if place is not None]
        if len(found) != len(names):
            message = english("it has {given} values for {wanted} features", given=len(found), wanted=len(names))
            raise ValueError(message)
        return dict(zip(names, found, strict=True))
    if not isinstance(found, dict):
        message = english("it must be an object, or a list of values in signature order")
        raise ValueError(message)  # noqa: TRY004 - one kind of error
    if unknown := sorted(found.keys() - set(layout.columns)):
        raise ValueError(english("the first lines have no member “{name}”", name=unknown[0][:80]))
    return found


# --- Workbooks and Parquet --------------------------------------------------------------------------------------------
def _converted(file: IO[bytes], layout: Layout, done: int, line: int, most: int) -> Iterator[Part]:
    found = sheets.rows(file, layout, done)
    while lot := list(islice(found, most)):
        yield Part(done, len(lot), line, len(lot), len(lot), delimited.content(lot, layout.delimiter))
        done, line = done + len(lot), line + len(lot)
