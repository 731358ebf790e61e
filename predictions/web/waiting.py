"""Sentences for unfinished predictions: until when they may be answered, how they end, whether workers are late."""

from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext, ngettext

from predictions.maintenance import canary
from predictions.models import State, clock
from predictions.web import polling
from predictions.web.formatting import duration_text

# If answers take longer than this, the form warns before a person asks.
LATE = timedelta(seconds=5)


def time_text(at: datetime) -> str:
    return f"{timezone.localtime(at):%H:%M:%S} UTC"


def note(state: str, deadline_at: datetime, now: datetime) -> str:
    """The sentence that says until when an unfinished prediction waits for its answer, and how it ends without one."""
    until = time_text(deadline_at)
    if now >= deadline_at:
        text = gettext("Its time ran out at %(until)s. It ends as expired, unless an answer arrives first.")
        return text % {"until": until}
    if state == State.RUNNING:
        text = gettext("A worker computes it now. Without an answer by %(until)s (in %(left)s) it ends as expired.")
    else:
        text = gettext(
            "It is kept and waits for a worker. Without an answer by %(until)s (in %(left)s) it ends as expired."
        )
    return text % {"until": until, "left": duration_text(deadline_at - now)}


def progress(waited: timedelta, ahead: int | None) -> str:
    """How long a prediction has waited, in whole seconds, and how many are before it in the queue, if known."""
    seconds = max(round(waited.total_seconds()), 1)
    shown = {"time": f"{seconds} s" if seconds < 120 else duration_text(waited), "ahead": ahead}
    if ahead is None:
        return gettext("Asked %(time)s ago.") % shown
    if not ahead:
        return gettext("Asked %(time)s ago. It is next in the queue.") % shown
    if ahead >= polling.MOST_AHEAD:
        return gettext("Asked %(time)s ago. At least %(ahead)s are before it.") % shown
    text = ngettext(
        "Asked %(time)s ago. %(ahead)s is before it.", "Asked %(time)s ago. %(ahead)s are before it.", ahead
    )
    return text % shown


def capped_note(deadline_at: datetime, now: datetime, late_since: datetime | None) -> str:
    """The sentence for a page that has stopped polling. `late_since` is None if the workers are not late."""
    if now >= deadline_at:
        text = gettext("Its time ran out at %(until)s. This address shows how it ends.")
    elif late_since:
        text = gettext(
            "The work goes on until %(until)s, and this address keeps the result. The workers are late since %(since)s."
        )
    else:
        text = gettext("The work goes on until %(until)s, and this address keeps the result.")
    return text % {"until": time_text(deadline_at), "since": time_text(late_since) if late_since else ""}


def workers_late_since(now: datetime) -> datetime | None:
    """When the oldest test prediction that workers have not answered was sent; None if they are not late."""
    delay = canary.delay()
    return now - delay if delay > LATE else None


def form_warning() -> str:
    """The warning above the form that answers are late; empty while workers are not late."""
    now = clock.recent()
    since = workers_late_since(now)
    if since is None:
        return ""
    text = gettext(
        "Answers are late: the workers have not answered a test prediction of %(since)s (%(ago)s ago). Yours will wait"
        " for %(longest)s at most; without an answer by then it ends as expired, and you can ask again."
    )
    longest = duration_text(settings.PREDICTION_TIME)
    return text % {"since": time_text(since), "ago": duration_text(now - since), "longest": longest}
