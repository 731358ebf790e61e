"""Reads a file of any size chunk by chunk: `parts` finds the chunks, and `rows` reads the rows of one.

Delimited text and JSON lines are read in place. A workbook or a Parquet file is first converted to delimited
text, part by part.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import orjson
import pyarrow as pa
from django.conf import settings

from predictions.batches import sheets
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
    while True:
        file.seek(offset)
        raw, block = _closed(file, layout, signature, line, max(window, SMALLEST_WINDOW))
        if not raw:
            return
        count, is_ended = line_ends(raw, layout)
        lines = count + (not is_ended)
        yield Part(offset, len(raw), line, lines, block.rows)
        offset, line = offset + len(raw), line + lines
        window = int(min(max(len(raw) / max(block.rows, 1) * most, SMALLEST_WINDOW), LARGEST_WINDOW))


def _closed(file: IO[bytes], layout: Layout, signature: Signature, line: int, window: int) -> tuple[bytes, Block]:
    """Bytes up to a line end that is not within quotes; if a quote stays open, up to a line end of the first window."""
    raw, rest = _cut(file.read(window), layout, file)
    first = raw
    block = rows(raw, line, layout, signature)
    while not block.is_closed and len(raw) - len(first) <= settings.BATCH_CELL_BYTES:
        more, rest = _cut(rest + file.read(max(window, FIRST_WINDOW)), layout, file)
        if not more:
            return raw, block
        raw += more
        block = rows(raw, line, layout, signature)
    return (raw, block) if block.is_closed else (first, rows(first, line, layout, signature))


def _cut(read: bytes, layout: Layout, file: IO[bytes]) -> tuple[bytes, bytes]:
    """The text up to its last line end, and the rest. If `read` has no line end, more of the file is read."""
    mark = layout.newline.encode(layout.encoding)
    while True:
        end = _last(read, mark)
        if end:
            return read[:end], read[end:]
        more = file.read(LARGEST_WINDOW)
        if not more or len(read) > settings.BATCH_COLUMNS * settings.BATCH_CELL_BYTES:
            return read + more, b""
        read += more


def _last(read: bytes, mark: bytes) -> int:
    """The position behind the last line end that begins at a whole character; 0 if there is none."""
    end = read.rfind(mark)
    while end % len(mark) and end > 0:
        end = read.rfind(mark, 0, end + len(mark) - 1)
    return end + len(mark) if end >= 0 else 0


def line_ends(raw: bytes, layout: Layout) -> tuple[int, bool]:
    """How many line ends these bytes of a file have, and whether the last bytes are one. Nothing is decoded, so damaged
    bytes cost no more than others. `raw` must begin at a whole character.
    """
    mark = layout.newline.encode(layout.encoding)
    width = len(mark)
    is_ended = raw.endswith(mark) and len(raw) % width == 0
    if width == 1:
        return raw.count(mark), is_ended
    units = np.frombuffer(raw, np.uint8, len(raw) // width * width).reshape(-1, width)
    return int((units == np.frombuffer(mark, np.uint8)).all(axis=1).sum()), is_ended


def rows(raw: bytes, line: int, layout: Layout, signature: Signature) -> Block:
    """The rows of one chunk."""
    text = decoded(raw, layout.encoding, layout.newline)
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
    for number, one in enumerate(text.split(b"\n")[:-1], line):
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
    found = orjson.loads(line)
    if isinstance(found, list):
        names = [layout.columns[place] for place in layout.matched if place is not None]
        if len(found) != len(names):
            message = english(
                "a list must have {expected} values, one for each feature, and this one has {given}",
                expected=len(names),
                given=len(found),
            )
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
    buffer, count = io.StringIO(newline=""), 0
    written = csv.writer(buffer, delimiter=layout.delimiter, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    for row in sheets.rows(file, layout, done):
        written.writerow(row)
        count += 1
        if count == most:
            yield _part(buffer, done, line, count)
            done, line, count = done + count, line + count, 0
            buffer.seek(0)
            buffer.truncate()
    if count:
        yield _part(buffer, done, line, count)


def _part(buffer: io.StringIO, done: int, line: int, count: int) -> Part:
    return Part(done, count, line, count, count, buffer.getvalue().encode("utf-8", "replace"))
