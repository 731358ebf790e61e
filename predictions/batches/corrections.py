"""Corrected bad rows of a finished job: they are scored, and replace the bad rows in the results."""

import csv
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from predictions.batches import downloads, reader, writer
from predictions.batches.blocks import Block
from predictions.batches.cells import read_cell, read_number
from predictions.batches.histograms import merged
from predictions.batches.layout import Layout
from predictions.batches.scoring import Scored, error_text, score
from predictions.models import BatchChunk, BatchJob
from predictions.models import batch_files as store
from predictions.serving.engines.opening import Loaded
from predictions.serving.schema.signature import Integer, Number, Signature
from predictions.serving.schema.wording import printable

# The column and the code of each part in the text of an error.
_PART = re.compile(r"(?:^|; )([^;:]*): ([a-z_]+): ")

# The corrections of a row, in whatever format they were sent. For a file of text, they are the cells in the order of
# its columns; None for those that were not sent. For a file of JSON, they are an object. An object that was sent as
# JSON is the whole row; one from another format has the features that were sent.
Row = Any

# The summary of the chunk that read corrections names this many lines of rows that were not used.
LINES_KEPT = 10


@dataclass
class _Sent:
    """The rows of a file of corrections by their line, and how many rows have each line. None: no readable line.

    Of several rows with one line, the last counts.
    """

    by_line: dict[int, Row] = field(default_factory=dict)
    times: Counter[int | None] = field(default_factory=Counter)

    def add(self, lines: Sequence[int | None], given: Sequence[Row]) -> None:
        self.times.update(lines)
        self.by_line |= {line: row for line, row in zip(lines, given, strict=True) if line is not None}


# --- Reading what was sent --------------------------------------------------------------------------------------------
def distribute(chunk: BatchChunk) -> tuple[list[BatchChunk], dict[str, Any]]:
    """A new chunk for each scored chunk of the job that has corrected rows.

    Also the summary of `chunk`: how many rows were sent, and how many of them were not used, since no bad row has their
    line. `lines` are the first of these lines; `more_lines` says whether there are others.
    """
    sent, layout = Layout.model_validate(chunk.summary["layout"]), Layout.model_validate(chunk.job.layout)
    corrections = _read(chunk, sent, layout)
    fixes, unused = corrections.by_line, set(corrections.by_line)
    are_whole = sent.format == "jsonl" == layout.format
    found = []
    for base in BatchChunk.objects.filter(job=chunk.job_id).done().filter(bad__gt=0):
        known = set(_bad_lines(chunk.job, base))
        own = {str(line): fixes[line] for line in sorted(known & fixes.keys())}
        unused -= known
        if own:
            source = store.save(chunk.job, f"fix-{base.number}-{chunk.claim}", orjson.dumps(own))
            found.append(
                BatchChunk(
                    job_id=chunk.job_id, kind=BatchChunk.SCORE, number=base.number, replaces=base,
                    source=source, line=base.line, rows=base.rows, summary={"are_whole": are_whole},
                )
            )  # fmt: skip
    summary = {
        **chunk.summary,
        "rows": corrections.times.total(),
        "unused": sum(corrections.times[line] for line in [None, *unused]),
        "lines": sorted(unused)[:LINES_KEPT],
        "more_lines": len(unused) > LINES_KEPT,
    }
    return found, summary


def _read(chunk: BatchChunk, sent: Layout, layout: Layout) -> _Sent:
    signature = chunk.job.version.signature
    # The last column of this name: the file may have one of its own, and the file of bad rows adds the line behind it.
    place = max(place for place, name in enumerate(sent.columns) if name == "line")
    found = _Sent()
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
    columns = []
    for place, source in enumerate(_sources(sent, layout)):
        texts: list[str | None] = [None] * block.rows if source is None else _texts(block, sent, source)
        if place in numbers and sent.decimal != layout.decimal:
            texts = [text and _rewritten(text, sent.decimal, layout.decimal) for text in texts]
        columns.append(texts)
    return [list(row) for row in zip(*columns, strict=True)]


def _objects(block: Block, sent: Layout, layout: Layout, signature: Signature) -> list[dict[str, Any]]:
    if block.objects is not None:
        return [
            {name: v for name, v in (row or {}).items() if name not in downloads.EXTRA_COLUMNS} for row in block.objects
        ]
    found: list[dict[str, Any]] = [{} for _ in range(block.rows)]
    for feature, place, source in zip(signature.features, layout.matched, sent.matched, strict=True):
        if place is not None and source is not None:
            for row, text in zip(found, _texts(block, sent, source), strict=True):
                row[layout.columns[place]] = read_cell(feature, text or "", sent.decimal)
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
    if name in downloads.EXTRA_COLUMNS:
        places = places[:-1]  # the last one is ours
    return places[0] if places else None


def _texts(block: Block, sent: Layout, column: int) -> list[str | None]:
    """The cells of a column; None for the members that an object of JSON does not have."""
    if block.objects is None:
        return list(writer.unguarded(block.cells[column]).to_pylist())
    name = sent.columns[column]
    return [reader.cell_text(row, name) if row and name in row else None for row in block.objects]


def _rewritten(text: str, old: str, new: str) -> str:
    """A number with the decimal sign of the job's file."""
    number = read_number(text.strip(), old)
    return repr(number).replace(".", new) if isinstance(number, float) else text


# --- Scoring them -----------------------------------------------------------------------------------------------------
def apply(chunk: BatchChunk, layout: Layout, loaded: Loaded) -> dict[str, Any]:
    """Scores a chunk of corrections. Returns what `settle` stores: the base chunk's results with the rows replaced."""
    job, base = chunk.job, chunk.replaces
    assert base is not None  # noqa: S101 - only chunks of corrections come here
    original = BatchChunk.objects.original(chunk)
    raw = store.read(job, original.source, original.offset, original.length)
    whole = reader.rows(raw, original.line, layout, loaded.manifest.signature)
    places = {line: place for place, line in enumerate(whole.lines.tolist())}
    fixes = {int(line): row for line, row in orjson.loads(store.read(job, chunk.source)).items()}
    block = _block(chunk, fixes, whole, places, layout)
    scored = score(block, layout, loaded, base.summary.get("outputs", {}))
    bad = _bad_after(job, base, block, scored, layout)
    return {
        "rows": base.rows,
        "good": base.rows - len(bad),
        "bad": len(bad),
        "outputs": {
            "results": _save_results(chunk, block, scored, layout, places),
            "bad": _save_bad(chunk, bad, layout),
        },
        "summary": {
            "errors": _groups(bad, layout, loaded.manifest.signature),
            "outputs": merged([base.summary["outputs"], scored.summary["outputs"]]),
        },
    }


def _block(
    chunk: BatchChunk, fixes: Mapping[int, Row], whole: Block, places: Mapping[int, int], layout: Layout
) -> Block:
    """The corrected rows. What was not sent keeps its value: that of an earlier correction, or that of the file."""
    lines = np.array(sorted(fixes), dtype=np.int64)
    base = chunk.replaces
    earlier = _bad_records(chunk.job, base, layout) if base and base.replaces_id else {}
    if layout.format == "jsonl":
        are_whole = chunk.summary.get("are_whole", True)
        objects: list[dict[str, Any] | None] = [
            _object(fixes[line], (whole.objects or [])[places[line]] or {}, earlier.get(line), are_whole=are_whole)
            for line in lines.tolist()
        ]
        texts = [[reader.cell_text(row, name) for row in objects] for name in layout.columns]
        return Block([pa.array(column, pa.string()) for column in texts], lines, {}, objects)
    cells = []
    for place, column in enumerate(whole.cells):
        before = pa.array(
            [earlier[line][place] if line in earlier else column[places[line]].as_py() for line in lines.tolist()],
            pa.string(),
        )
        sent = pa.array([fixes[line][place] for line in lines.tolist()], pa.string())
        cells.append(pc.coalesce(sent, writer.unguarded(before) if earlier else before))
    return Block(cells, lines)


def _object(
    fix: Mapping[str, Any], original: Mapping[str, Any], earlier: Mapping[str, Any] | None, *, are_whole: bool
) -> dict[str, Any]:
    """The corrected object. The file's own members `line` and `error` cannot be sent, so they keep their values."""
    own = {name: original[name] for name in downloads.EXTRA_COLUMNS if name in original}
    before = {} if are_whole else earlier or original
    return {**{name: v for name, v in before.items() if name not in downloads.EXTRA_COLUMNS}, **own, **fix}


def _save_results(chunk: BatchChunk, block: Block, scored: Scored, layout: Layout, places: Mapping[int, int]) -> str:
    base = chunk.replaces
    records = _records(store.read(chunk.job, base.outputs["results"]), layout) if base else []
    new = _records(writer.results(block, layout, scored.columns), layout)
    for line, record in zip(block.lines.tolist(), new, strict=True):
        records[places[line]] = record
    return store.save(chunk.job, f"{chunk.number}-{chunk.claim}.results", _written(records, layout))


# --- Bad rows ---------------------------------------------------------------------------------------------------------
def _bad_records(job: BatchJob, base: BatchChunk, layout: Layout) -> dict[int, Any]:
    """The bad rows of a chunk by line, as the file of bad rows has them."""
    if not base.outputs.get("bad"):
        return {}
    content = store.read(job, base.outputs["bad"])
    if layout.format == "jsonl":
        return {row["line"]: row for row in map(orjson.loads, content.splitlines())}
    return {int(record[-2]): record for record in _records(content, layout)}


def _bad_lines(job: BatchJob, base: BatchChunk) -> list[int]:
    return list(_bad_records(job, base, Layout.model_validate(job.layout)))


def _bad_after(job: BatchJob, base: BatchChunk, block: Block, scored: Scored, layout: Layout) -> dict[int, Any]:
    bad = _bad_records(job, base, layout)
    for line in block.lines.tolist():
        bad.pop(line, None)
    rows = sorted(scored.problems)
    errors = [error_text(scored.problems[row]) for row in rows]
    if layout.format == "jsonl":
        bad |= {row["line"]: row for row in map(orjson.loads, writer.bad_objects(block, rows, errors).splitlines())}
    elif rows:
        bad |= {int(record[-2]): record for record in _records(writer.bad_rows(block, layout, rows, errors), layout)}
    return dict(sorted(bad.items()))


def _save_bad(chunk: BatchChunk, bad: Mapping[int, Any], layout: Layout) -> str | None:
    if not bad:
        return None
    if layout.format == "jsonl":
        content = b"".join(orjson.dumps(row) + b"\n" for row in bad.values())
    else:
        content = _written(list(bad.values()), layout)
    return store.save(chunk.job, f"{chunk.number}-{chunk.claim}.bad", content)


# --- Summary ----------------------------------------------------------------------------------------------------------
def _groups(bad: Mapping[int, Any], layout: Layout, signature: Signature) -> list[dict[str, Any]]:
    """How often each code is left in each column, with the first example."""
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for line, row in bad.items():
        error = row["error"] if layout.format == "jsonl" else row[-1]
        parts = list(_PART.finditer(error))
        ends = [part.start() for part in parts[1:]] + [len(error)]
        for part, end in zip(parts, ends, strict=True):
            column, code = part.groups()
            if (column, code) not in groups:
                groups[column, code] = {
                    "column": column, "code": code, "count": 0, "line": line, "message": error[part.end() : end],
                    "text": printable(_stood(row, column, layout, signature)),
                }  # fmt: skip
            groups[column, code]["count"] += 1
    return list(groups.values())


def _stood(row: Any, name: str, layout: Layout, signature: Signature) -> str:
    """The text of a bad row in the column of a feature; empty if the error concerns the whole row."""
    place = layout.matched[signature.names.index(name)] if name in signature.names else None
    if place is None:
        return ""
    if layout.format == "jsonl":
        return reader.cell_text(row, layout.columns[place])
    return str(writer.unguarded(pa.array([row[place]], pa.string()))[0].as_py())


# --- Records ----------------------------------------------------------------------------------------------------------
def _records(content: bytes, layout: Layout) -> list[list[str]]:
    """The records of a file that `writer` wrote."""
    csv.field_size_limit(1 << 30)
    return list(csv.reader(io.StringIO(content.decode(), newline=""), delimiter=layout.delimiter))


def _written(records: Sequence[Sequence[str]], layout: Layout) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=layout.delimiter, lineterminator="\n").writerows(records)
    return buffer.getvalue().encode()
