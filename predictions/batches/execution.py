"""Executes chunks: a reading chunk finds the chunks of a file, a scoring chunk predicts its rows. For workers only.

A process may die at any line. So a chunk has a lease, and its result is stored by one UPDATE, guarded by the token of
the claim. Files are written before that UPDATE, under names with the token. Nothing reads the files of a lost claim.
"""

import logging
import time
from functools import partial
from typing import IO, Any

from django.conf import settings

from predictions.batches import corrections, isolation, opening, reader, writer
from predictions.batches.blocks import Block, first_rows
from predictions.batches.layout import Layout
from predictions.batches.scoring import Scored, error_text, give_up, score
from predictions.models import BatchChunk, BatchJob
from predictions.models import batch_files as store
from predictions.serving.engines.opening import Loaded
from predictions.serving.schema.errors import ForetellError, ModelUnavailable
from predictions.serving.schema.request_errors import FileTooLarge
from predictions.serving.schema.sentences import english
from predictions.worker import preload

logger = logging.getLogger(__name__)

# A reading chunk is queued again after this time, so that a large file does not keep its worker from other files.
READING_SECONDS = 3.0
# About how long a chunk should take, by the speed of the first rows.
CHUNK_SECONDS = 3.0
UNMEASURED_ROWS = 1000


def run_next() -> bool:
    """Execute one chunk; False if none is queued."""
    chunk = BatchChunk.objects.claim()
    if chunk is None:
        return False
    BatchJob.objects.filter(pk=chunk.job_id).start()
    try:
        _execute(chunk)
    except ModelUnavailable as error:
        preload.record_failure(chunk.job.version_id, error)
        _fail(chunk, error)
    except ForetellError as error:
        _fail(chunk, error)
    finally:
        if not BatchJob.objects.filter(pk=chunk.job_id).exists():  # it was erased meanwhile, and its files with it
            store.remove(chunk.job.folder)
    BatchJob.objects.filter(pk=chunk.job_id).finish()
    return True


def _fail(chunk: BatchChunk, error: ForetellError) -> None:
    logger.warning("the file %s cannot be scored: %s", chunk.job_id, error.code)
    if chunk.replaces_id or chunk.number == BatchChunk.CORRECTIONS:
        BatchChunk.objects.drop(chunk, error.code)
    else:
        BatchJob.objects.filter(pk=chunk.job_id).fail(error.code, error.sentence)


def _execute(chunk: BatchChunk) -> None:
    layout = Layout.model_validate(chunk.job.layout)
    if chunk.kind == BatchChunk.SCORE:
        _score(chunk, layout)
    elif chunk.number == BatchChunk.FIRST:
        _read(chunk, layout)
    else:
        found, summary = corrections.distribute(chunk)
        BatchChunk.objects.settle_reading(chunk, found, summary=summary)


# --- Reading ----------------------------------------------------------------------------------------------------------
def _read(chunk: BatchChunk, layout: Layout) -> None:
    """Find chunks for a while. One transaction stores the new chunks, and the position at which to go on."""
    until = time.monotonic() + READING_SECONDS
    known = BatchChunk.objects.filter(job=chunk.job_id, kind=BatchChunk.SCORE)
    number, rows = known.count(), BatchChunk.objects.counts_of(chunk.job_id)["rows"]
    signature = chunk.job.version.signature
    offset, line = chunk.offset or layout.start, chunk.line
    found: list[BatchChunk] = []
    with store.open_file(chunk.job, chunk.source) as file:
        most = _rows_of_a_chunk(chunk, file, layout)
        for part in reader.parts(file, layout, signature, offset, line, most):
            found.append(_found(chunk, number + len(found), part))
            rows += part.rows
            _check_rows(rows)
            offset, line = part.offset + part.length, part.line + part.lines
            if time.monotonic() > until:
                BatchChunk.objects.advance(chunk, found, offset=offset, line=line, summary={"rows_of_a_chunk": most})
                return
    BatchChunk.objects.settle_reading(chunk, found)


def _found(chunk: BatchChunk, number: int, part: reader.Part) -> BatchChunk:
    new = BatchChunk(job_id=chunk.job_id, kind=BatchChunk.SCORE, number=number, line=part.line, rows=part.rows)
    if part.content is None:
        new.source, new.offset, new.length = chunk.source, part.offset, part.length
    else:
        new.source = store.save(chunk.job, f"part-{number}-{chunk.claim}", part.content)
        new.length = len(part.content)
    return new


def _rows_of_a_chunk(chunk: BatchChunk, file: IO[bytes], layout: Layout) -> int:
    """As many rows as take some seconds, by the speed of the first rows: a slow model must stay within its limit."""
    if known := chunk.summary.get("rows_of_a_chunk"):
        return int(known)
    if chunk.attempts > 1:  # one of the first rows may have ended the worker that measured
        return UNMEASURED_ROWS
    loaded = preload.load_registered(chunk.job.version_id)
    block = opening.preview_rows(file, layout, loaded.manifest.signature)
    score(first_rows(block, 1), layout, loaded)  # what the first call imports and opens is not counted
    begin = time.perf_counter()
    score(block, layout, loaded)
    seconds = time.perf_counter() - begin
    return int(min(max(block.rows * CHUNK_SECONDS / seconds, 10), reader.CHUNK_ROWS))


def _check_rows(rows: int) -> None:
    if rows > settings.BATCH_ROWS:
        message = english("The file has more than {most} rows. Send it in several files.", most=settings.BATCH_ROWS)
        raise FileTooLarge(message)


# --- Scoring ----------------------------------------------------------------------------------------------------------
def _score(chunk: BatchChunk, layout: Layout) -> None:
    loaded = preload.load_registered(chunk.job.version_id)
    if chunk.replaces_id:
        corrected = corrections.apply(chunk, layout, loaded)
        BatchChunk.objects.settle(chunk, **corrected)
        return
    block = block_of(chunk, layout, loaded)
    scored = _scored(chunk, block, layout, loaded)
    outputs = {
        "results": store.save(
            chunk.job, f"{chunk.number}-{chunk.claim}.results", writer.results(block, layout, scored.columns)
        ),
        "bad": _save_bad(chunk, block, layout, scored),
    }
    BatchChunk.objects.settle(
        chunk,
        rows=block.rows,
        good=block.rows - scored.bad,
        bad=scored.bad,
        outputs=outputs,
        summary=scored.summary,
    )


def block_of(chunk: BatchChunk, layout: Layout, loaded: Loaded) -> Block:
    raw = store.read(chunk.job, chunk.source, chunk.offset, chunk.length)
    return reader.rows(raw, chunk.line, layout, loaded.manifest.signature)


def _scored(chunk: BatchChunk, block: Block, layout: Layout, loaded: Loaded) -> Scored:
    """Scores a chunk in one call. If a worker has died at it, the rows that caused this are searched for."""
    first = _first_histogram(chunk.job)
    if chunk.attempts <= 1:
        return score(block, layout, loaded, first)
    try:
        return score(block, layout, loaded, first, partial(isolation.lost_rows, chunk))
    except isolation.TooManyLost:
        return give_up(block, layout, loaded.manifest)


def _first_histogram(job: BatchJob) -> dict[str, Any]:
    """The histogram of the first scored chunk, which sets the bins for the job."""
    first = BatchChunk.objects.filter(job=job).done().values_list("summary", flat=True).first()
    found: dict[str, Any] = (first or {}).get("outputs", {})
    return found


def _save_bad(chunk: BatchChunk, block: Block, layout: Layout, scored: Scored) -> str | None:
    if not scored.problems:
        return None
    rows = sorted(scored.problems)
    errors = [error_text(scored.problems[row]) for row in rows]
    content = (
        writer.bad_objects(block, rows, errors)
        if layout.format == "jsonl"
        else writer.bad_rows(block, layout, rows, errors)
    )
    return store.save(chunk.job, f"{chunk.number}-{chunk.claim}.bad", content)
