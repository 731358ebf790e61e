"""How far a job is: computed from its chunks, never stored."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from predictions.batches.histograms import merged
from predictions.models import BatchChunk, BatchJob, JobState, State, clock
from predictions.serving.schema.errors import ERRORS
from predictions.serving.schema.sentences import english

GROUPS_SHOWN = 20
# The states of a chunk that was not executed to its end.
STOPPED = (State.CANCELED, State.FAILED)
# Corrections that were not scored to their end, because a person or the keeper ended them.
CANCELED = "canceled"
CANCELED_TEXT = english("They were canceled, or their time was over.")
NOTHING: Mapping[str, int] = {"rows": 0, "good": 0, "bad": 0}


@dataclass(frozen=True, slots=True)
class Corrections:
    """The corrections that were sent last: `rows` were sent, and `unused` of them changed nothing, since no bad row has
    their line. `lines` are the first of these lines. `error` says why not all of the others were scored, if so."""

    rows: int
    unused: int
    lines: list[int]
    error_code: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """`rows` is the number of rows found so far. It is final when `is_read` is true."""

    rows: int
    good: int
    bad: int
    is_read: bool
    rows_per_second: float | None
    seconds_left: float | None
    corrections: Corrections | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)
    histogram: dict[str, Any] = field(default_factory=dict)

    @property
    def done(self) -> int:
        return self.good + self.bad


def progress(job: BatchJob, *, with_summary: bool = False) -> Progress:
    found = progress_of([job])[job.pk]
    if not with_summary:
        return found
    summaries = list(BatchChunk.objects.filter(job=job).done().values_list("summary", flat=True))
    return replace(
        found, errors=_merged_errors(summaries), histogram=merged([one.get("outputs", {}) for one in summaries])
    )


def progress_of(jobs: Sequence[BatchJob]) -> dict[uuid.UUID, Progress]:
    """The progress of jobs without errors and histograms, by three queries for any number of jobs."""
    chunks = BatchChunk.objects.filter(job__in=[job.pk for job in jobs])
    counts = chunks.counts()
    reads = list(chunks.filter(kind=BatchChunk.READ).order_by("queued_at"))
    reading = {read.job_id for read in reads if read.finished_at is None}
    corrections = _corrections([read for read in reads if read.number == BatchChunk.CORRECTIONS])
    return {
        job.pk: _progress(job, counts.get(job.pk, NOTHING), corrections.get(job.pk), is_read=job.pk not in reading)
        for job in jobs
    }


def _progress(job: BatchJob, counts: Mapping[str, int], corrected: Corrections | None, *, is_read: bool) -> Progress:
    done = counts["good"] + counts["bad"]
    # Between the file and its corrections a job waits for a person, so its rate would say nothing about the work.
    rate = None if corrected else _rate(job, done)
    left = (counts["rows"] - done) / rate if rate and is_read and job.state == JobState.RUNNING else None
    return Progress(counts["rows"], counts["good"], counts["bad"], is_read, rate, left, corrected)


def _corrections(reads: Sequence[BatchChunk]) -> dict[uuid.UUID, Corrections]:
    """The last corrections of each job, by the chunks that read corrections, oldest first."""
    last = {read.job_id: read for read in reads}
    ended = BatchChunk.objects.filter(job__in=last, replaces__isnull=False, state__in=STOPPED)
    stopped = {job_id: read for job_id, read in last.items() if read.state in STOPPED}
    if last:
        stopped |= {chunk.job_id: chunk for chunk in ended if chunk.queued_at >= last[chunk.job_id].queued_at}
    return {job_id: _of(read.summary, stopped.get(job_id)) for job_id, read in last.items()}


def _of(summary: Mapping[str, Any], stopped: BatchChunk | None) -> Corrections:
    why = _why(stopped) if stopped else ("", "")
    return Corrections(summary.get("rows", 0), summary.get("unused", 0), summary.get("lines", []), *why)


def _why(chunk: BatchChunk) -> tuple[str, str]:
    """The code and the sentence of a chunk of corrections that was not executed to its end."""
    known = ERRORS.get(chunk.error_code)
    return (known.code, known.sentence) if known else (CANCELED, CANCELED_TEXT)


def _rate(job: BatchJob, done: int) -> float | None:
    if job.started_at is None or not done:
        return None
    seconds = ((job.finished_at or clock.recent()) - job.started_at).total_seconds()
    return round(done / max(seconds, 0.001), 1)


def _merged_errors(summaries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The groups of all chunks by column and code, the most frequent first, each with its first example."""
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for summary in summaries:
        for group in summary.get("errors", []):
            key = group["column"], group["code"]
            if key in groups:
                groups[key]["count"] += group["count"]
            else:
                groups[key] = dict(group)
    return sorted(groups.values(), key=lambda group: -group["count"])
