"""Scores a file in this process, by the same reader, rules and engine as a job: for the command line."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO

from predictions.batches import downloads, reader, writer
from predictions.batches.columns import EXTRA_COLUMNS
from predictions.batches.downloads import result_columns
from predictions.batches.layout import Layout
from predictions.batches.scoring import error_text, score
from predictions.serving.engines.opening import Loaded


@dataclass
class Run:
    """The bad rows are written to `bad`, if given. `on_progress` gets the position in the file, in bytes or rows."""

    file: IO[bytes]
    layout: Layout
    loaded: Loaded
    bad: IO[bytes] | None = None
    on_progress: Callable[[int], None] = field(default=lambda _: None)
    rows: int = 0
    errors: int = 0

    def results(self) -> Iterator[bytes]:
        """Delimited text, piece by piece. `rows` and `errors` are complete after the last piece."""
        manifest, layout = self.loaded.manifest, self.layout
        new = result_columns(manifest.answered)
        yield downloads.header([*layout.columns, *new], layout.delimiter)
        if self.bad is not None and layout.format != "jsonl":
            self.bad.write(downloads.header([*layout.columns, *EXTRA_COLUMNS], layout.delimiter))
        for part in reader.parts(self.file, layout, manifest.signature, layout.start, layout.line, reader.CHUNK_ROWS):
            yield self._part(part)
            self.on_progress(part.offset + part.length)

    def _part(self, part: reader.Part) -> bytes:
        raw = part.content if part.content is not None else self._bytes(part)
        block = reader.rows(raw, part.line, self.layout, self.loaded.manifest.signature)
        scored = score(block, self.layout, self.loaded)
        self.rows += block.rows
        self.errors += scored.bad
        if self.bad is not None and scored.bad:
            rows = sorted(scored.problems)
            errors = [error_text(scored.problems[row]) for row in rows]
            is_json = self.layout.format == "jsonl"
            self.bad.write(
                writer.bad_objects(block, rows, errors)
                if is_json
                else writer.bad_rows(block, self.layout, rows, errors)
            )
        return writer.results(block, self.layout, scored.columns)

    def _bytes(self, part: reader.Part) -> bytes:
        self.file.seek(part.offset)
        return self.file.read(part.length)
