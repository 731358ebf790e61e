"""Batch jobs, and the preview of a file, for the templates."""

from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy, ngettext

from predictions.batches.encodings import ENCODINGS
from predictions.batches.layout import DECIMALS, DELIMITERS, FORMATS, SAMPLE_ROWS, Layout
from predictions.batches.progress import GROUPS_SHOWN, Progress
from predictions.models import BatchJob, JobState
from predictions.serving.schema.wording import printable
from predictions.web import polling
from predictions.web.formatting import GROUP, duration_text, number_text, range_text
from predictions.web.localized import localized

HEADLINES = {
    JobState.QUEUED: gettext_lazy("In the queue"),
    JobState.RUNNING: gettext_lazy("Being scored"),
    JobState.FINISHED: gettext_lazy("Finished"),
    JobState.FAILED: gettext_lazy("Failed"),
    JobState.CANCELED: gettext_lazy("Canceled"),
    JobState.EXPIRED: gettext_lazy("Expired"),
}
# Values in the description of a file that are our own words, and are translated. The other values come from the file.
WORDS = {*DELIMITERS.values(), *DECIMALS.values(), *FORMATS.values(), "yes", "no", "Not known"}
# The delay before the first poll of an unfinished job, in milliseconds. Later delays grow from it.
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
        return str(HEADLINES[JobState(self.state)])

    @property
    def page_title(self) -> str:
        return f"{self.headline} · {self.filename} · Foretell"

    @property
    def verdict(self) -> str:
        """How a job ended, in one sentence."""
        done = self._progress.done
        if self._job.error_code and self._job.error:
            return localized(self._job.error)
        if self.state == JobState.EXPIRED:
            text = ngettext(
                "Its time was over before all rows were scored. %(done)s row is done.",
                "Its time was over before all rows were scored. %(done)s rows are done.",
                done,
            )
            return text % {"done": count_text(done)}
        if self.state == JobState.CANCELED:
            text = ngettext(
                "It was canceled. The %(done)s row that was done by then is kept.",
                "It was canceled. The %(done)s rows that were done by then are kept.",
                done,
            )
            return text % {"done": count_text(done)}
        return self._finished if self.state == JobState.FINISHED else ""

    @property
    def _finished(self) -> str:
        found = self._progress
        shown = {"rows": count_text(found.rows), "good": count_text(found.good), "bad": count_text(found.bad)}
        if not found.rows:
            return gettext("The file has a header and no rows.")
        if not found.good:
            text = ngettext(
                "The %(rows)s row could not be scored.", "None of the %(rows)s rows could be scored.", found.rows
            )
            return text % shown
        if found.bad:
            text = ngettext(
                "%(good)s of %(rows)s rows are scored; %(bad)s needs another look.",
                "%(good)s of %(rows)s rows are scored; %(bad)s need another look.",
                found.bad,
            )
            return text % shown
        text = ngettext("%(good)s of %(rows)s row is scored.", "%(good)s of %(rows)s rows are scored.", found.rows)
        return text % shown

    @property
    def corrections_note(self) -> str:
        """Which of the corrections that were sent last changed nothing, and why."""
        found = self._progress.corrections
        if found is None or not self.is_terminal:
            return ""
        said = []
        if found.error:
            said.append(gettext("Not all corrections were scored. %(why)s") % {"why": localized(found.error)})
        if found.rows == 0:
            said.append(gettext("The corrections had no rows."))
        if found.unused:
            rows = found.rows or 0
            text = ngettext(
                "Not used: the %(rows)s row that was sent. No row with an error has its line.",
                "Not used: %(unused)s of the %(rows)s rows that were sent. No row with an error has their line.",
                rows,
            )
            said.append(text % {"unused": count_text(found.unused), "rows": count_text(rows)})
        if found.lines:
            lines = ", ".join(map(str, found.lines)) + (", …" if found.more_lines else "")
            said.append(gettext("Lines: %(lines)s.") % {"lines": lines})
        return " ".join(said)

    @property
    def announcement(self) -> str:
        return f"{self.filename}: {self.headline}. {self.verdict} {self.corrections_note}".strip()

    @property
    def speed_text(self) -> str:
        if not self._progress.rows_per_second:
            return ""
        rate = round(self._progress.rows_per_second)
        return ngettext("%(rate)s row a second", "%(rate)s rows a second", rate) % {"rate": count_text(rate)}

    @property
    def left_text(self) -> str:
        left = self._progress.seconds_left
        if left is None:
            return ""
        return gettext("about %(time)s left") % {"time": duration_text(timedelta(seconds=max(round(left), 1)))}

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
        rows = count_text(shown.rows)
        return [
            (gettext("Rows"), rows if shown.is_read else gettext("%(rows)s so far") % {"rows": rows}),
            (gettext("Scored"), count_text(shown.good)),
            (gettext("With errors"), count_text(shown.bad)),
        ]

    @property
    def absent_note(self) -> str:
        return absent_note(Layout.model_validate(self._job.layout))

    @property
    def described(self) -> list[tuple[str, str]]:
        return [
            (localized(label), localized(value) if value in WORDS else value)
            for label, value in Layout.model_validate(self._job.layout).described
        ]

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
        named = [(range_text(number_text(low), number_text(high)), count) for low, high, count in bins]
    most = max((count for _, count in named), default=0)
    return [
        {"label": label, "count": count_text(count), "share": count / most if most else 0} for label, count in named
    ]


def absent_note(layout: Layout) -> str:
    """The sentence that names the optional features without a column; empty if there are none."""
    if not layout.absent:
        return ""
    names = ", ".join(f"“{printable(name)}”" for name in layout.absent)
    return gettext("No column was found for %(names)s: taken as missing in each row.") % {"names": names}


def choices(layout: Layout) -> list[dict[str, Any]]:
    """The form fields with which a user corrects the detected layout of a file."""
    if layout.format in ("xlsx", "ods"):
        return [_field("sheet", gettext("Sheet"), layout.sheet, {name: name for name in layout.sheets})]
    if layout.format != "csv":
        return []
    delimiters = {("tab" if mark == "\t" else mark): localized(name) for mark, name in DELIMITERS.items()}
    decimals = {mark: localized(name) for mark, name in DECIMALS.items()}
    decimal = layout.decimal
    if layout.is_decimal_doubtful:
        decimal, decimals = "", {"": localized("Not known"), **decimals}
    answers = {"true": gettext("yes"), "false": gettext("no")}
    encodings = dict.fromkeys([layout.encoding, *ENCODINGS])
    return [
        _field("delimiter", gettext("Delimiter"), "tab" if layout.delimiter == "\t" else layout.delimiter, delimiters),
        _field("decimal", gettext("Decimal sign"), decimal, decimals),
        _field("encoding", gettext("Encoding"), layout.encoding, {name: name for name in encodings}),
        _field("header", gettext("First line is the header"), str(layout.header).lower(), answers),
    ]


def _field(name: str, label: str, value: str | None, options: Any) -> dict[str, Any]:
    offered = [{"value": key, "label": text, "selected": key == value} for key, text in options.items()]
    return {"name": name, "label": label, "options": offered}


def looked_at(shown: int, total: int | None) -> str:
    """The sentence that says how many rows the preview has checked. `total` is None if it is not known."""
    if total is None or total <= shown:
        if shown == 1:
            return gettext("The one row looked at.")
        return gettext("All %(rows)s rows looked at.") % {"rows": count_text(shown)}
    first = {"first": count_text(min(shown, SAMPLE_ROWS)), "rows": count_text(total)}
    return gettext("First %(first)s of %(rows)s looked at.") % first
