"""The analysts' board: a live feed of predictions that wait and that end."""

from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from predictions.models import Prediction, RegisteredModel, State
from predictions.monitoring import board
from predictions.web.formatting import duration_text
from predictions.web.presenters import HEADLINES, PredictionPresenter
from predictions.web.waiting import time_text

FEED_MS = 2000
# After ten minutes the feed stops by itself. A button resumes it.
FEED_ATTEMPTS = 300


@require_safe
@never_cache
@login_required
@permission_required("predictions.view_monitor", raise_exception=True)
def monitor(request: HttpRequest) -> HttpResponse:
    return render(request, "monitor/board.html", {**_filters(request), **_feed(request, attempt=0)})


@require_safe
@never_cache
@login_required
@permission_required("predictions.view_monitor", raise_exception=True)
def feed(request: HttpRequest) -> HttpResponse:
    attempt = request.GET.get("attempt", "")
    count = int(attempt) if attempt.isascii() and attempt.isdigit() and len(attempt) < 9 else 0
    return render(request, "monitor/_feed.html", _feed(request, count))


def _chosen(request: HttpRequest) -> board.Filter:
    return board.Filter.of(request.GET.get("model", ""), request.GET.get("state", ""))


def _filters(request: HttpRequest) -> dict[str, Any]:
    chosen = _chosen(request)
    models = RegisteredModel.objects.listed()
    states = State.values
    return {
        "filters": {
            "models": [{"name": m.name, "title": m.title, "selected": m.name == chosen.model} for m in models],
            "states": [{"value": s, "label": HEADLINES[s], "selected": s == chosen.state} for s in states],
        }
    }


def _feed(request: HttpRequest, attempt: int) -> dict[str, Any]:
    chosen = _chosen(request)
    ended = board.newest(chosen)
    cursor = board.cursor_of(ended)
    query = urlencode({"model": chosen.model, "state": chosen.state, "after": cursor, "attempt": attempt + 1})
    return {
        "rows": [_row(prediction, request.GET.get("after", "")) for prediction in [*board.unfinished(chosen), *ended]],
        "tiles": _tiles(chosen),
        "feed": {
            "url": f"{reverse('feed')}?{query}",
            "delay_ms": FEED_MS,
            "paused": attempt >= FEED_ATTEMPTS,
            "cursor": cursor,
        },
    }


def _tiles(chosen: board.Filter) -> dict[str, Any]:
    """Counts of the predictions that match the filters. `only` names the model if one is chosen."""
    now, hour = board.now(chosen), board.last_hour(chosen)
    return {
        "only": _only(chosen),
        "now": [{"label": HEADLINES[state], "value": count} for state, count in now.by_state.items()],
        "hour": [{"label": HEADLINES[state], "value": count} for state, count in hour.by_state.items()],
        "median_label": _median_label(hour),
        "median_text": duration_text(hour.median_latency) if hour.median_latency is not None else "",
        "standstill": _standstill_text(now) if now.is_standstill else "",
    }


def _median_label(hour: board.LastHour) -> str:
    if hour.sample is None:
        return gettext("Median time")
    return gettext("Median time of the newest %(count)s") % {"count": hour.sample}


def _only(chosen: board.Filter) -> str:
    return " " + gettext("(model %(model)s only)") % {"model": chosen.model} if chosen.model else ""


def _standstill_text(now: board.Now) -> str:
    said = [gettext("Standstill: predictions wait and none moves.")]
    if now.last_end:
        said.append(gettext("None has ended since %(time)s.") % {"time": time_text(now.last_end)})
    else:
        said.append(gettext("None has ended yet."))
    if now.oldest:
        said.append(gettext("The oldest has waited since %(time)s.") % {"time": time_text(now.oldest)})
    return " ".join(said)


def _row(prediction: Prediction, after: str) -> dict[str, Any]:
    shown = PredictionPresenter(prediction)
    return {
        "url": shown.url,
        "model_title": shown.model_title,
        "version": shown.version.number,
        "answer_text": shown.answer_text,
        "state": shown.state,
        "state_text": shown.state_text,
        "created_at": shown.created_at,
        "finished_at": shown.finished_at,
        "total_text": shown.total_text,
        "is_new": bool(after) and shown.is_terminal and board.cursor_of([prediction]) > after,
    }
