"""The bad rows of a chunk of a file, by line, while corrections are applied to it."""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from predictions.batches import delimited, writer
from predictions.batches.blocks import Block
from predictions.batches.layout import Layout
from predictions.batches.scoring import Scored, error_text
from predictions.batches.texts import cell_text, unguarded
from predictions.models import BatchChunk, BatchJob
from predictions.models import batch_files as store
from predictions.serving.schema.signature import Signature
from predictions.serving.schema.wording import printable


def of(job: BatchJob, base: BatchChunk, layout: Layout) -> dict[int, Any]:
    """The bad rows of a chunk by line, as the file of bad rows has them."""
    if not base.outputs.get("bad"):
        return {}
    content = store.read(job, base.outputs["bad"])
    if layout.format == "jsonl":
        return {row["line"]: row for row in map(orjson.loads, content.splitlines())}
    return {int(record[-2]): record for record in delimited.records(content, layout.delimiter)}


def after(job: BatchJob, base: BatchChunk, block: Block, scored: Scored, layout: Layout) -> dict[int, Any]:
    """The bad rows of the chunk `base` after the corrected rows of `block` were scored."""
    bad = of(job, base, layout)
    for line in block.lines.tolist():
        bad.pop(line, None)
    rows = sorted(scored.problems)
    errors = [error_text(scored.problems[row]) for row in rows]
    if layout.format == "jsonl":
        bad |= {row["line"]: row for row in map(orjson.loads, writer.bad_objects(block, rows, errors).splitlines())}
    elif rows:
        written = writer.bad_rows(block, layout, rows, errors)
        bad |= {int(record[-2]): record for record in delimited.records(written, layout.delimiter)}
    return dict(sorted(bad.items()))


def save(chunk: BatchChunk, bad: Mapping[int, Any], layout: Layout) -> str | None:
    """Save these bad rows as a file of the chunk. Returns its name; None if there are no bad rows."""
    if not bad:
        return None
    if layout.format == "jsonl":
        content = b"".join(orjson.dumps(row) + b"\n" for row in bad.values())
    else:
        content = delimited.content(bad.values(), layout.delimiter)
    return store.save(chunk.job, f"{chunk.number}-{chunk.claim}.bad", content)


def groups(bad: Mapping[int, Any], layout: Layout, signature: Signature) -> list[dict[str, Any]]:
    """How often each code is left in each column, with the first example."""
    # The column and the code of each part of an error. The name of a feature may have colons and semicolons itself.
    names = "|".join(re.escape(name) for name in sorted(signature.names, key=len, reverse=True))
    pattern = re.compile(rf"(?:^|; )({names}|[^;:]*): ([a-z_]+): ")
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for line, row in bad.items():
        error = row["error"] if layout.format == "jsonl" else row[-1]
        parts = list(pattern.finditer(error))
        ends = [part.start() for part in parts[1:]] + [len(error)]
        for part, end in zip(parts, ends, strict=True):
            column, code = part.groups()
            if (column, code) not in found:
                found[column, code] = {
                    "column": column, "code": code, "count": 0, "line": line, "message": error[part.end() : end],
                    "text": printable(_stood(row, column, layout, signature)),
                }  # fmt: skip
            found[column, code]["count"] += 1
    return list(found.values())


def _stood(row: Any, name: str, layout: Layout, signature: Signature) -> str:
    """The text of a bad row in the column of a feature; empty if the error concerns the whole row."""
    place = layout.matched[signature.names.index(name)] if name in signature.names else None
    if place is None:
        return ""
    if layout.format == "jsonl":
        return cell_text(row, layout.columns[place])
    return unguarded(str(row[place]))
