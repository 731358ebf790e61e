"""A batch job, and a file before it is sent, as a person reads them."""

from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.urls import reverse

from predictions.batches.encodings import ENCODINGS
from predictions.batches.layout import DECIMALS, DELIMITERS, SAMPLE_ROWS, Layout
from predictions.batches.progress import GROUPS_SHOWN, Progress
from predictions.models import BatchJob, JobState
from predictions.web import polling
from predictions.web.formatting import GROUP, duration_text, number_text

HEADLINES = {
    JobState.QUEUED: "In the queue",
    JobState.RUNNING: "Being scored",
    JobState.FINISHED: "Finished",
    JobState.FAILED: "Failed",
    JobState.CANCELED: "Canceled",
    JobState.EXPIRED: "Expired",
}
# A look at a job that runs is worth this many milliseconds, at first.
EXPECTED_MS = 400.0


def count_text(count: int) -> str:
    return f"{count:,}".replace(",", GROUP)


class BatchPresenter:
    """One job for the templates. `viewer` is the caller key of the person who looks at it."""

    def __init__(self, job: BatchJob, progress: Progress, attempt: int = 0, *, viewer: str = "") -> None:
        self._job, self._progress = job, progress
        self.id = str(job.pk)
        self.state = job.state
        self.is_terminal = job.is_terminal
        self.filename = job.filename
        self.created_at = job.created_at
        self.is_mine = job.caller == viewer
        self.model_title = job.version.registered_model.title
        self.model_url = reverse("model", args=[job.version.registered_model.name])
        self.version = job.version.number
        self.url = reverse("batch", args=[job.pk])
        self.capped = not self.is_terminal and polling.is_capped(attempt)
        self.delay_ms = polling.delay_ms(attempt, EXPECTED_MS)
        self.status_url = f"{reverse('batch-status', args=[job.pk])}?attempt={attempt + 1}"
        self.check_url = f"{reverse('batch-status', args=[job.pk])}?attempt=0"
        self.page_url = f"{self.url}?attempt={attempt + 1}"

    # --- Words --------------------------------------------------------------------------------------------------------
    @property
    def headline(self) -> str:
        return HEADLINES[JobState(self.state)]

    @property
    def page_title(self) -> str:
        return f"{self.headline} · {self.filename} · Foretell"

    @property
    def verdict(self) -> str:
        """How a job ended, in one sentence."""
        done, rows = self._progress, count_text(self._progress.rows)
        if self._job.error_code and self._job.error:
            return self._job.error
        if self.state == JobState.EXPIRED:
            return f"Its time was over before all rows were scored. {count_text(done.done)} rows are done."
        if self.state == JobState.CANCELED:
            return f"It was canceled. The {count_text(done.done)} rows that were done by then are kept."
        if self.state != JobState.FINISHED:
            return ""
        if not done.rows:
            return "The file has a header and no rows."
        if not done.good:
            return f"None of the {rows} rows could be scored."
        return f"{count_text(done.good)} of {rows} rows are scored" + (
            f"; {count_text(done.bad)} need another look." if done.bad else "."
        )

    @property
    def announcement(self) -> str:
        return f"{self.filename}: {self.headline}. {self.verdict}".strip()

    @property
    def speed_text(self) -> str:
        rate = self._progress.rows_per_second
        return f"{count_text(round(rate))} rows a second" if rate else ""

    @property
    def left_text(self) -> str:
        left = self._progress.seconds_left
        return f"about {duration_text(timedelta(seconds=max(round(left), 1)))} left" if left is not None else ""

    # --- Counts -------------------------------------------------------------------------------------------------------
    @property
    def rows(self) -> int:
        return self._progress.rows

    @property
    def done(self) -> int:
        return self._progress.done

    @property
    def is_read(self) -> bool:
        return self._progress.is_read

    @property
    def counts(self) -> list[tuple[str, str]]:
        shown = self._progress
        rows = count_text(shown.rows) + ("" if shown.is_read else " so far")
        return [("Rows", rows), ("Scored", count_text(shown.good)), ("With errors", count_text(shown.bad))]

    @property
    def described(self) -> list[tuple[str, str]]:
        return Layout.model_validate(self._job.layout).described

    # --- Errors and outputs -------------------------------------------------------------------------------------------
    @property
    def errors(self) -> list[dict[str, Any]]:
        groups = self._progress.errors[:GROUPS_SHOWN]
        return [{**group, "count_text": count_text(group["count"])} for group in groups]

    @property
    def more_errors(self) -> int:
        return max(len(self._progress.errors) - GROUPS_SHOWN, 0)

    @cached_property
    def answers(self) -> list[dict[str, Any]]:
        """The outputs so far, for each target: a bar for each label, or for each bin of a number."""
        histogram = self._progress.histogram
        named = histogram.get("targets", {"": histogram})
        found = [{"target": name, "bars": _bars(one)} for name, one in named.items()]
        return [one for one in found if one["bars"]]

    # --- What can be done ---------------------------------------------------------------------------------------------
    @property
    def can_cancel(self) -> bool:
        return self.is_mine and not self.is_terminal

    @property
    def has_results(self) -> bool:
        return self.done > 0

    @property
    def has_bad_rows(self) -> bool:
        return self._progress.bad > 0

    @property
    def can_correct(self) -> bool:
        return self.is_mine and self.state == JobState.FINISHED and self.has_bad_rows


def _bars(histogram: Mapping[str, Any]) -> list[dict[str, Any]]:
    counts, edges = histogram.get("counts", {}), histogram.get("edges", [])
    if isinstance(counts, dict):
        named = list(counts.items())
    else:
        bins = zip(edges, edges[1:], counts, strict=False)
        named = [(f"{number_text(low)} to {number_text(high)}", count) for low, high, count in bins]
    most = max((count for _, count in named), default=0)
    return [
        {"label": label, "count": count_text(count), "share": count / most if most else 0} for label, count in named
    ]


def choices(layout: Layout) -> list[dict[str, Any]]:
    """The fields by which a reader's findings are changed."""
    if layout.format in ("xlsx", "ods"):
        return [_field("sheet", "Sheet", layout.sheet, {name: name for name in layout.sheets})]
    if layout.format != "csv":
        return []
    delimiters = {("tab" if mark == "\t" else mark): name for mark, name in DELIMITERS.items()}
    encodings = dict.fromkeys([layout.encoding, *ENCODINGS])
    return [
        _field("delimiter", "Delimiter", "tab" if layout.delimiter == "\t" else layout.delimiter, delimiters),
        _field("decimal", "Decimal sign", layout.decimal, DECIMALS),
        _field("encoding", "Encoding", layout.encoding, {name: name for name in encodings}),
        _field("header", "First line is the header", str(layout.header).lower(), {"true": "yes", "false": "no"}),
    ]


def _field(name: str, label: str, value: str | None, options: Any) -> dict[str, Any]:
    offered = [{"value": key, "label": text, "selected": key == value} for key, text in options.items()]
    return {"name": name, "label": label, "options": offered}


def looked_at(shown: int, total: int | None) -> str:
    """What a preview says of itself."""
    if total is None or total <= shown:
        return f"All {count_text(shown)} rows looked at." if shown != 1 else "The one row looked at."
    return f"First {count_text(min(shown, SAMPLE_ROWS))} of {count_text(total)} looked at."
