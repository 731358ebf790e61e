"""The file of corrections that a user sent, as rows by the line of the bad row that each corrects."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from predictions.batches import reader
from predictions.batches.blocks import Block
from predictions.batches.cells import read_cell
from predictions.batches.columns import EXTRA_COLUMNS
from predictions.batches.layout import Layout
from predictions.batches.texts import cell_text, unguarded
from predictions.models import BatchChunk
from predictions.models import batch_files as store
from predictions.serving.schema.signature import Integer, Number, Signature

SWAPPED_SIGNS = str.maketrans(",.", ".,")

# The corrections of a row, in whatever format they were sent. For a file of text, they are the cells in the order of
# its columns; None for those that were not sent. For a file of JSON, they are an object. An object that was sent as
# JSON is the whole row; one from another format has the features that were sent.
Row = Any


@dataclass
class Sent:
    """The rows of a file of corrections by their line, and how many rows have each line. None: no readable line.

    Of several rows with one line, the last counts.
    """

    by_line: dict[int, Row] = field(default_factory=dict)
    times: Counter[int | None] = field(default_factory=Counter)

    def add(self, lines: Sequence[int | None], given: Sequence[Row]) -> None:
        self.times.update(lines)
        self.by_line |= {line: row for line, row in zip(lines, given, strict=True) if line is not None}


def read(chunk: BatchChunk, sent: Layout, layout: Layout) -> Sent:
    """The rows of the file of `chunk`, whose layout is `sent`. `layout` is that of the job's file."""
    signature = chunk.job.version.signature
    # The last column of this name: the file may have one of its own, and the file of bad rows adds the line behind it.
    place = max(place for place, name in enumerate(sent.columns) if name == "line")
    found = Sent()
    with store.open_file(chunk.job, chunk.source) as file:
        for part in reader.parts(file, sent, signature, sent.start, sent.line, reader.CHUNK_ROWS):
            raw = part.content if part.content is not None else _bytes(file, part)
            block = reader.rows(raw, part.line, sent, signature)
            lines = [_line(text) for text in block.cells[place].to_pylist()]
            found.add(lines, _rows(block, sent, layout, signature))
    return found


def _bytes(file: Any, part: reader.Part) -> bytes:
    file.seek(part.offset)
    content: bytes = file.read(part.length)
    return content


def _line(text: str) -> int | None:
    bare = text.strip().removesuffix(".0")
    return int(bare) if bare.isascii() and bare.isdigit() and len(bare) < 16 else None


def _rows(block: Block, sent: Layout, layout: Layout, signature: Signature) -> list[Row]:
    if layout.format == "jsonl":
        return _objects(block, sent, layout, signature)
    numbers = {
        place
        for feature, place in zip(signature.features, layout.matched, strict=True)
        if isinstance(feature, Number | Integer)
    }
    is_rewritten = (sent.decimal, sent.decimal_certainty) != (layout.decimal, layout.decimal_certainty)
    columns = []
    for place, source in enumerate(_sources(sent, layout)):
        texts: list[str | None] = [None] * block.rows if source is None else _texts(block, sent, source)
        if place in numbers and is_rewritten:
            texts = [text and _rewritten(text, sent, layout) for text in texts]
        columns.append(texts)
    return [list(row) for row in zip(*columns, strict=True)]


def _objects(block: Block, sent: Layout, layout: Layout, signature: Signature) -> list[dict[str, Any]]:
    if block.objects is not None:
        pairs = [(s, p) for s, p in zip(sent.matched, layout.matched, strict=True) if s is not None and p is not None]
        spelled = {sent.columns[source]: layout.columns[place] for source, place in pairs}
        return [
            {spelled.get(name, name): v for name, v in (row or {}).items() if name not in EXTRA_COLUMNS}
            for row in block.objects
        ]
    found: list[dict[str, Any]] = [{} for _ in range(block.rows)]
    for feature, place, source in zip(signature.features, layout.matched, sent.matched, strict=True):
        if place is not None and source is not None:
            for row, text in zip(found, _texts(block, sent, source), strict=True):
                row[layout.columns[place]] = read_cell(feature, text or "", sent)
    return found


def _sources(sent: Layout, layout: Layout) -> list[int | None]:
    """For each column of the job's file, the column of the corrections that has its cells; None if they lack it."""
    found = [_column_of(sent, name) for name in layout.columns]
    for place, source in zip(layout.matched, sent.matched, strict=True):  # features may be spelled in another way
        if place is not None:
            found[place] = source
    return found


def _column_of(sent: Layout, name: str) -> int | None:
    places = [place for place, other in enumerate(sent.columns) if other == name]
    if name in EXTRA_COLUMNS:
        places = places[:-1]  # the last one is ours
    return places[0] if places else None


def _texts(block: Block, sent: Layout, column: int) -> list[str | None]:
    """The cells of a column; None for the members that an object of JSON does not have."""
    if block.objects is None:
        return list(map(unguarded, block.cells[column].to_pylist()))
    name = sent.columns[column]
    return [_json_text(row, name, sent) if row and name in row else None for row in block.objects]


def _json_text(row: dict[str, Any], name: str, sent: Layout) -> str:
    return sent.written(row[name]) if isinstance(row[name], float) else cell_text(row, name)


def _rewritten(text: str, sent: Layout, layout: Layout) -> str:
    """A number as the job's file has numbers. A text that is no number by the layout of the corrections
    becomes one that is none by that of the job: `1.234` among decimal commas becomes `1,234` among decimal points."""
    number = sent.read(text.strip())
    if isinstance(number, float):
        return layout.written(number)
    is_read = isinstance(layout.read(text.strip()), float)
    return text.translate(SWAPPED_SIGNS) if is_read else text
