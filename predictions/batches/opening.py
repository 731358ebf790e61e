"""Opens a file that was sent: finds its format by its content, and its layout."""

import codecs
import re
from collections.abc import Iterator
from typing import IO, Any

import orjson

from predictions.batches import sheets
from predictions.batches.columns import absent, check_names, misspelt_members, places_of
from predictions.batches.content import refuse_other_content
from predictions.batches.layout import (
    SAMPLE_BYTES,
    SAMPLE_ROWS,
    Layout,
    Wishes,
    text_layout,
)
from predictions.serving.schema.errors import InvalidInput, Problem
from predictions.serving.schema.sentences import english
from predictions.serving.schema.signature import Signature

# The begin of an array of rows. A row itself may be an array, but holds no objects or arrays.
_ARRAY = re.compile(rb"\s*\[\s*[\[{]")


def find_layout(file: IO[bytes], signature: Signature, wishes: Wishes) -> Layout:
    """The layout of a file.

    Raises:
        UnsupportedMediaType: its content has a format that cannot be read.
        FileTooLarge: it is a workbook that unpacks to more than the limit.
        InvalidInput: columns are missing or named twice (it lists all); or the file is empty, or has no such sheet.
    """
    file.seek(0)
    sample = file.read(SAMPLE_BYTES)
    if sample.startswith(b"PK\x03\x04"):
        return sheets.workbook_layout(file, sheets.archive_format(file), signature, wishes)
    if sample.startswith(b"PAR1"):
        return sheets.parquet_layout(file, signature)
    refuse_other_content(sample[:4096])
    bom = len(codecs.BOM_UTF8) if sample.startswith(codecs.BOM_UTF8) else 0
    if sample[bom:].lstrip().startswith((b"{", b"[")):
        return _json_layout(sample[bom:], bom, signature)
    return text_layout(sample, signature, wishes)


def find_layout_of_corrections(file: IO[bytes], layout: Layout, signature: Signature) -> Layout:
    """The layout of a file of corrections to a file with `layout`. Raises the errors of `find_layout`.

    Few bad rows show no decimal sign, or show the very mistake. So their numbers have the sign of the file. A text with
    another delimiter was written by a program in its own way: it may show another sign, and is doubtful if it shows
    none.
    """
    sent = find_layout(file, signature, Wishes())
    is_rewritten = sent.format == "csv" and sent.delimiter != layout.delimiter
    if layout.format == "jsonl" or (is_rewritten and sent.decimal_certainty == "known"):
        return sent
    certainty = "doubtful" if is_rewritten else layout.decimal_certainty
    return sent.model_copy(update={"decimal": layout.decimal, "decimal_certainty": certainty})


def _json_layout(sample: bytes, start: int, signature: Signature) -> Layout:
    """The columns are the members of the first objects, in order of first use; in signature order for rows as lists.
    A feature that no object has gets a column behind them, since each object has members of its own."""
    if _ARRAY.match(sample):
        message = english(
            "The file is one JSON array. Write one JSON object on each line, without brackets and commas around it."
        )
        raise InvalidInput([Problem(None, "not_json", message, "/file")])
    rows = list(_json_rows(sample, signature))
    if not rows:
        message = english(
            "The file begins like JSON, but no line of it is an object. Write one JSON object on each line."
        )
        raise InvalidInput([Problem(None, "not_json", message, "/file")])
    names = list(dict.fromkeys(name for _, row in rows for name in row))
    matched, problems = places_of(names, signature)
    if found := [*problems.values(), *misspelt_members(rows, names, matched, signature)]:
        raise InvalidInput(found)
    lacking = absent(matched, signature)
    names += lacking
    check_names(names)
    pairs = zip(signature.names, matched, strict=True)
    places = [names.index(name) if place is None else place for name, place in pairs]
    optional = [name for name in lacking if not signature.by_name[name].required]
    return Layout(format="jsonl", columns=names, matched=places, absent=optional, start=start)


def _json_rows(sample: bytes, signature: Signature) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a sample with their lines. The last line may be cut off."""
    for number, line in enumerate(sample.splitlines(), 1):
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(row, dict):
            yield number, row
        elif isinstance(row, list):
            yield number, dict(zip(signature.names, row, strict=False))


def preview_rows(file: IO[bytes], layout: Layout, signature: Signature) -> Any:
    """The first rows as a block, for a preview and to measure the speed of a model."""
    from predictions.batches.blocks import first_rows  # noqa: PLC0415 - pyarrow, where a file is looked at
    from predictions.batches.reader import parts, records, rows  # noqa: PLC0415

    if layout.counts_records:
        part = next(iter(parts(file, layout, signature, 0, layout.line, SAMPLE_ROWS)), None)
        content = part.content if part and part.content else b""
    else:
        size = file.seek(0, 2)
        content, _ = records(file, layout.start, size, layout, signature, layout.line, SAMPLE_BYTES)
    return first_rows(rows(content, layout.line, layout, signature), SAMPLE_ROWS)
