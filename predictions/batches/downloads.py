"""Streams results and bad rows, in input order, from files that workers have written. Nothing is computed here."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from predictions.batches import delimited
from predictions.batches.columns import EXTRA_COLUMNS
from predictions.batches.layout import Layout
from predictions.batches.texts import guarded
from predictions.models import BatchChunk, BatchJob
from predictions.models import batch_files as store
from predictions.serving.schema.errors import NoResults
from predictions.serving.schema.sentences import english

PIECE = 256 * 1024


def result_columns(manifest: Mapping[str, Any]) -> list[str]:
    """The names of the new columns in a version's results, in order. Several targets follow one another."""
    named = target_columns(manifest)
    return [*(named.values() or _columns(manifest)), "advice", "error"]


def number_columns(manifest: Mapping[str, Any]) -> set[str]:
    """The names of the new columns that hold numbers."""
    words = {"prediction_set", "grade", *(["prediction"] if _has_classes(manifest) else [])}
    named = target_columns(manifest)
    texts = {name for (_, column), name in named.items() if column in words} if named else words
    return set(result_columns(manifest)) - texts - {"advice", "error"}


def target_columns(manifest: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """The name of each column of several targets, by target and by its name for a single target; in order.

    A name that is taken gets a `_`: `prediction_set_t` is the set of `t`, and the answer for `set_t`.
    """
    found: dict[tuple[str, str], str] = {}
    taken: set[str] = set()
    for one in manifest.get("targets") or []:
        for column in _columns(one):
            name = _of_target(column, one["target"]["name"])
            while name in taken:
                name += "_"
            taken.add(name)
            found[one["target"]["name"], column] = name
    return found


def _of_target(column: str, target: str) -> str:
    """The column's name for one of several targets: `probability_red` of `colour` is `probability_colour_red`."""
    kind, separator, label = column.partition("_") if column.startswith("probability_") else (column, "", "")
    return f"{kind}_{target}{separator}{label}"


def _columns(one: Mapping[str, Any]) -> list[str]:
    more = [f"probability_{label}" for label in one["labels"]] if one["classes"] else ["lower", "upper"]
    return ["prediction", *more, "prediction_set", "grade"]


def _has_classes(manifest: Mapping[str, Any]) -> bool:
    return bool(manifest["classes"] or any(one["classes"] for one in manifest.get("targets") or []))


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
    return result_columns(job.version.manifest)


def _stream(job: BatchJob, which: str, head: list[bytes]) -> Iterator[bytes]:
    outputs = list(BatchChunk.objects.filter(job=job).done().values_list("outputs", flat=True))
    if not outputs and not job.is_terminal:
        raise NoResults(english("Nothing is scored yet. Look again when the first rows are done."))
    names = [output[which] for output in outputs if output.get(which)]
    return chain(head, chain.from_iterable(_pieces(job, name) for name in names))


def _pieces(job: BatchJob, name: str) -> Iterator[bytes]:
    with store.open_file(job, name) as file:
        while piece := file.read(PIECE):
            yield piece


def header(names: list[str], delimiter: str) -> bytes:
    """The first line, or one like it. A name gets the same guard against formulas as a text cell."""
    return delimited.line(map(guarded, names), delimiter).encode()
