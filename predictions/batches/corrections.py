"""Corrected bad rows of a finished job: they are scored, and replace the bad rows in the results."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from predictions.batches import bad_rows, delimited, reader, sent_corrections, writer
from predictions.batches.blocks import Block
from predictions.batches.columns import EXTRA_COLUMNS
from predictions.batches.histograms import merged
from predictions.batches.layout import Layout
from predictions.batches.scoring import Scored, score
from predictions.batches.sent_corrections import Row
from predictions.batches.texts import cell_text, unguarded
from predictions.models import BatchChunk
from predictions.models import batch_files as store
from predictions.serving.engines.opening import Loaded

# The summary of the chunk that read corrections names this many lines of rows that were not used.
LINES_KEPT = 10


def distribute(chunk: BatchChunk) -> tuple[list[BatchChunk], dict[str, Any]]:
    """A new chunk for each scored chunk of the job that has corrected rows.

    Also the summary of `chunk`: how many rows were sent, and how many of them were not used, since no bad row has their
    line. `lines` are the first of these lines; `more_lines` says whether there are others.
    """
    sent, layout = Layout.model_validate(chunk.summary["layout"]), Layout.model_validate(chunk.job.layout)
    corrections = sent_corrections.read(chunk, sent, layout)
    fixes, unused = corrections.by_line, set(corrections.by_line)
    are_whole = sent.format == "jsonl" == layout.format
    found = []
    for base in BatchChunk.objects.filter(job=chunk.job_id).done().filter(bad__gt=0):
        known = set(bad_rows.of(chunk.job, base, layout))
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
    bad = bad_rows.after(job, base, block, scored, layout)
    return {
        "rows": base.rows,
        "good": base.rows - len(bad),
        "bad": len(bad),
        "outputs": {
            "results": _save_results(chunk, block, scored, layout, places),
            "bad": bad_rows.save(chunk, bad, layout),
        },
        "summary": {
            "errors": bad_rows.groups(bad, layout, loaded.manifest.signature),
            "outputs": merged([base.summary["outputs"], scored.summary["outputs"]]),
        },
    }


def _block(
    chunk: BatchChunk, fixes: Mapping[int, Row], whole: Block, places: Mapping[int, int], layout: Layout
) -> Block:
    """The corrected rows. What was not sent keeps its value: that of an earlier correction, or that of the file."""
    lines = np.array(sorted(fixes), dtype=np.int64)
    base = chunk.replaces
    earlier = bad_rows.of(chunk.job, base, layout) if base and base.replaces_id else {}
    if layout.format == "jsonl":
        are_whole = chunk.summary.get("are_whole", True)
        objects: list[dict[str, Any] | None] = [
            _object(fixes[line], (whole.objects or [])[places[line]] or {}, earlier.get(line), are_whole=are_whole)
            for line in lines.tolist()
        ]
        texts = [[cell_text(row, name) for row in objects] for name in layout.columns]
        return Block([pa.array(column, pa.string()) for column in texts], lines, {}, objects)
    cells = []
    for place, column in enumerate(whole.cells):
        before = pa.array(
            [
                unguarded(earlier[line][place]) if line in earlier else column[places[line]].as_py()
                for line in lines.tolist()
            ],
            pa.string(),
        )
        sent = pa.array([fixes[line][place] for line in lines.tolist()], pa.string())
        cells.append(pc.coalesce(sent, before))
    return Block(cells, lines)


def _object(
    fix: Mapping[str, Any], original: Mapping[str, Any], earlier: Mapping[str, Any] | None, *, are_whole: bool
) -> dict[str, Any]:
    """The corrected object. The file's own members `line` and `error` cannot be sent, so they keep their values."""
    own = {name: original[name] for name in EXTRA_COLUMNS if name in original}
    before = {} if are_whole else earlier or original
    return {**{name: v for name, v in before.items() if name not in EXTRA_COLUMNS}, **own, **fix}


def _save_results(chunk: BatchChunk, block: Block, scored: Scored, layout: Layout, places: Mapping[int, int]) -> str:
    base = chunk.replaces
    records = delimited.records(store.read(chunk.job, base.outputs["results"]), layout.delimiter) if base else []
    new = delimited.records(writer.results(block, layout, scored.columns), layout.delimiter)
    for line, record in zip(block.lines.tolist(), new, strict=True):
        records[places[line]] = record
    return store.save(chunk.job, f"{chunk.number}-{chunk.claim}.results", delimited.content(records, layout.delimiter))
