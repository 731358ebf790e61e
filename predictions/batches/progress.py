"""How far a job is: computed from its chunks, never stored."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from predictions.batches.histograms import merged
from predictions.models import BatchChunk, BatchJob, JobState, clock

GROUPS_SHOWN = 20
NOTHING: Mapping[str, int] = {"rows": 0, "good": 0, "bad": 0}


@dataclass(frozen=True, slots=True)
class Progress:
    """`rows` is the number of rows found so far. It is final when `is_read` is true."""

    rows: int
    good: int
    bad: int
    is_read: bool
    rows_per_second: float | None
    seconds_left: float | None
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
    """The progress of jobs without errors and histograms, by two queries for any number of jobs."""
    chunks = BatchChunk.objects.filter(job__in=[job.pk for job in jobs])
    counts = chunks.counts()
    reads = list(chunks.filter(kind=BatchChunk.READ).values_list("job", "number", "finished_at"))
    reading = {job for job, _, finished_at in reads if finished_at is None}
    corrected = {job for job, number, _ in reads if number == BatchChunk.CORRECTIONS}
    return {
        job.pk: _progress(
            job, counts.get(job.pk, NOTHING), is_read=job.pk not in reading, is_corrected=job.pk in corrected
        )
        for job in jobs
    }


def _progress(job: BatchJob, counts: Mapping[str, int], *, is_read: bool, is_corrected: bool) -> Progress:
    done = counts["good"] + counts["bad"]
    # Between the file and its corrections a job waits for a person, so its rate would say nothing about the work.
    rate = None if is_corrected else _rate(job, done)
    left = (counts["rows"] - done) / rate if rate and is_read and job.state == JobState.RUNNING else None
    return Progress(counts["rows"], counts["good"], counts["bad"], is_read, rate, left)


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
