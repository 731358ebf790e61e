"""How far a job is: computed from its chunks, never stored."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db.models import Max, Q

from predictions.batches.histograms import merged
from predictions.models import BatchChunk, BatchJob, JobState, State, clock
from predictions.serving.schema.sentences import english

GROUPS_SHOWN = 20
NOTHING: Mapping[str, int] = {"rows": 0, "good": 0, "bad": 0}
# Why corrections were not scored, by the state of their chunk.
STOPPED = {
    State.CANCELED: english("They were canceled, or their time was over."),
    State.FAILED: english("They could not be scored. Send them again."),
}


@dataclass(frozen=True, slots=True)
class Corrections:
    """The corrections that were sent last.

    `rows` were sent, and `unused` of them changed nothing, since no bad row has their line; None if they were not read.
    `lines` are the first of these lines, and `more_lines` says whether there are others. `error` says why not all of
    the other rows were scored, if so.
    """

    rows: int | None = None
    unused: int | None = None
    lines: list[int] = field(default_factory=list)
    more_lines: bool = False
    error_code: str = ""
    error: str = ""

    @property
    def is_known(self) -> bool:
        """Whether they were read, or have ended without that."""
        return self.rows is not None or self.error != ""


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
    """The progress of jobs without errors and histograms, by four queries for any number of jobs."""
    chunks = BatchChunk.objects.filter(job__in=[job.pk for job in jobs])
    counts = chunks.counts()
    reads = list(
        chunks.filter(kind=BatchChunk.READ).order_by("queued_at").values_list("job", "number", "pk", "finished_at")
    )
    reading = {job for job, _, _, finished_at in reads if finished_at is None}
    last = {job: pk for job, number, pk, _ in reads if number == BatchChunk.CORRECTIONS}
    corrections = _corrections(last) if last else {}
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


def _corrections(last: Mapping[uuid.UUID, uuid.UUID]) -> dict[uuid.UUID, Corrections]:
    """The last corrections of each job. `last` names the chunk that reads them, by job."""
    reads = {read.job_id: read for read in BatchChunk.objects.filter(pk__in=last.values())}
    ended = (
        BatchChunk.objects.filter(Q(pk__in=last.values()) | Q(replaces__isnull=False), job__in=last, state__in=STOPPED)
        .values_list("job", "state", "error_code")
        .annotate(Max("queued_at"))
        .order_by("state", "error_code")
    )
    # If some chunks failed and others were canceled, the last one counts: the failure.
    why = {
        job: (code or state, STOPPED[State(state)])
        for job, state, code, queued_at in ended
        if queued_at >= reads[job].queued_at
    }
    return {job: _of(read.summary, *why.get(job, ("", ""))) for job, read in reads.items()}


def _of(summary: Mapping[str, Any], code: str, error: str) -> Corrections:
    known = {name: summary[name] for name in ("rows", "unused", "lines", "more_lines") if "unused" in summary}
    return Corrections(**known, error_code=code, error=error)


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
