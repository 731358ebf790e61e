"""Sentences for unfinished predictions: until when they are kept, how they end, whether workers are late."""

from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from predictions.maintenance import canary
from predictions.models import Lane, State, clock
from predictions.web.formatting import duration_text

# Answers that take longer than this are worth a word before one asks.
LATE = timedelta(seconds=5)


def time_text(at: datetime) -> str:
    return f"{timezone.localtime(at):%H:%M:%S} UTC"


def note(state: str, deadline_at: datetime, now: datetime) -> str:
    """Until when an unfinished prediction goes on, and how it ends otherwise."""
    until = time_text(deadline_at)
    if now >= deadline_at:
        return f"Its time ran out at {until}. It ends as expired, unless an answer arrives first."
    left = duration_text(deadline_at - now)
    if state == State.RUNNING:
        return f"A worker computes it now. Without an answer by {until} (in {left}) it ends as expired."
    return f"It is kept and waits for a worker. Without an answer by {until} (in {left}) it ends as expired."


def progress(waited: timedelta, ahead: int | None) -> str:
    """How long a prediction has waited, in whole seconds, and how many are before it in the queue, if known."""
    place = "" if ahead is None else " It is next in the queue." if not ahead else f" {ahead} are before it."
    seconds = max(round(waited.total_seconds()), 1)
    waited_text = f"{seconds} s" if seconds < 120 else duration_text(waited)
    return f"Asked {waited_text} ago.{place}"


def capped_note(deadline_at: datetime, now: datetime, late_since: datetime | None) -> str:
    """For a page that has stopped asking."""
    if now >= deadline_at:
        return f"Its time ran out at {time_text(deadline_at)}. This address shows how it ends."
    goes_on = f"The work goes on until {time_text(deadline_at)}, and this address keeps the result."
    return f"{goes_on} The workers are late since {time_text(late_since)}." if late_since else goes_on


def workers_late_since(now: datetime) -> datetime | None:
    """When the oldest test prediction that workers have not answered was sent; None if they are not late."""
    delay = canary.delay(Lane.INTERACTIVE)
    return now - delay if delay > LATE else None


def form_warning() -> str:
    """What somebody should know before they ask; empty while workers are not late."""
    now = clock.recent()
    since = workers_late_since(now)
    if since is None:
        return ""
    longest = duration_text(settings.PREDICTION_TIME)
    return (
        f"Answers are late: the workers have not answered a test prediction of {time_text(since)}"
        f" ({duration_text(now - since)} ago). Yours will wait for {longest} at most; without an answer by then it ends"
        " as expired, and you can ask again."
    )
