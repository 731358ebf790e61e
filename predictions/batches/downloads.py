"""Results and bad rows as streams, in input order, from what the workers have written: nothing is computed here."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from predictions.batches.layout import Layout
from predictions.models import BatchChunk, BatchJob
from predictions.models import batch_files as store
from predictions.serving.schema.errors import NoResults

PIECE = 256 * 1024
EXTRA_COLUMNS = ("line", "error")


def result_columns(classes: Sequence[Any], labels: Sequence[str]) -> list[str]:
    """The names of the new columns of a version's results, in their order."""
    more = [f"probability_{label}" for label in labels] if classes else ["lower", "upper"]
    return ["prediction", *more, "prediction_set", "grade", "advice", "error"]


def results(job: BatchJob) -> Iterator[bytes]:
    """The file's columns with the new ones, for each line that is done.

    Raises:
        NoResults: nothing is done yet.
    """
    layout = Layout.model_validate(job.layout)
    columns = [*layout.columns, *new_columns(job)]
    return _stream(job, "results", [header(columns, layout.delimiter)])


def bad_rows(job: BatchJob) -> Iterator[bytes]:
    """The bad rows with the file's columns, their line and what is wrong. Raises NoResults."""
    layout = Layout.model_validate(job.layout)
    head = [] if layout.format == "jsonl" else [header([*layout.columns, *EXTRA_COLUMNS], layout.delimiter)]
    return _stream(job, "bad", head)


def new_columns(job: BatchJob) -> list[str]:
    manifest = job.version.manifest
    return result_columns(manifest["classes"], manifest["labels"])


def _stream(job: BatchJob, which: str, head: list[bytes]) -> Iterator[bytes]:
    outputs = list(BatchChunk.objects.filter(job=job).done().values_list("outputs", flat=True))
    if not outputs and not job.is_terminal:
        raise NoResults("Nothing is scored yet. Look again when the first rows are done.")
    names = [output[which] for output in outputs if output.get(which)]
    return chain(head, chain.from_iterable(_pieces(job, name) for name in names))


def _pieces(job: BatchJob, name: str) -> Iterator[bytes]:
    with store.open_file(job, name) as file:
        while piece := file.read(PIECE):
            yield piece


def header(names: list[str], delimiter: str) -> bytes:
    """The first line. A name is guarded as any other text cell is."""
    return (delimiter.join(_quoted(_guarded(name), delimiter) for name in names) + "\n").encode()


def _guarded(name: str) -> str:
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else name


def _quoted(name: str, delimiter: str) -> str:
    return '"' + name.replace('"', '""') + '"' if any(c in name for c in ('"', "\n", "\r", delimiter)) else name


def template(names: list[str], rows: list[list[str]]) -> bytes:
    """A file to fill in: the features' names, and rows as examples."""
    return b"".join(header(row, ",") for row in [names, *rows])
