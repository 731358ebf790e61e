"""The comparison of a version with the versions that answered callers, for operators and analysts."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from predictions.comparison.evidence import Other, evidence, others
from predictions.models import Comparison, ModelVersion
from predictions.models.comparison import Kind
from predictions.serving.schema.errors import NotFound
from predictions.serving.schema.sentences import english
from predictions.use_cases.lookup import find_model, find_version
from predictions.use_cases.operate import OPERATE
from predictions.web import polling
from predictions.web.access import for_analysts
from predictions.web.version_comparison import ComparisonPresenter, RunPresenter
from predictions.web.views.answers import STOP_POLLING

RUNS = 10
# A replay takes some seconds.
EXPECTED_MS = 1000.0


@require_safe
@never_cache
@for_analysts
def comparison(request: HttpRequest, name: str, called: str) -> HttpResponse:
    """`?with=<number>` chooses one of the versions that this version was compared with; the first one by default."""
    version, model = find_version(name, called), find_model(name)
    found = others(version)
    chosen = _chosen(found, request.GET.get("with", ""))
    context = {
        "model": model,
        "version": version,
        "shown": ComparisonPresenter(evidence(version, chosen.version)) if chosen else None,
        "others": [other for other in found if other != chosen],
        "runs": [RunPresenter(run) for run in Comparison.objects.filter(version=version).order_by("-pk")[:RUNS]],
        "may_operate": request.user.has_perm(OPERATE),
        **_progress(request, version),
    }
    return render(request, "predictions/comparison.html", context)


@require_safe
@never_cache
@for_analysts
def progress(request: HttpRequest, name: str, called: str) -> HttpResponse:
    """The fragment with the progress of the newest replay, which may have ended meanwhile; 404 without a replay."""
    context = {"model": find_model(name), **_progress(request, find_version(name, called))}
    if context["replay"] is None:
        raise NotFound(english("No replay of this version was started."))
    is_over = request.htmx and context["replay"].is_terminal  # type: ignore[attr-defined]
    response = render(request, "predictions/_replay.html", context, status=STOP_POLLING if is_over else 200)
    patch_vary_headers(response, ["HX-Request"])
    return response


def _chosen(found: list[Other], number: str) -> Other | None:
    for other in found:
        if str(other.version.number) == number:
            return other
    return found[0] if found else None


def _progress(request: HttpRequest, version: ModelVersion) -> dict[str, Any]:
    """The newest replay, and when the page polls again."""
    newest = Comparison.objects.filter(version=version, kind=Kind.REPLAY).order_by("-pk").first()
    attempt = polling.attempt_of(request)
    address = reverse("comparison-progress", args=[version.registered_model.name, version.number])
    page = reverse("comparison", args=[version.registered_model.name, version.number])
    delay_ms = polling.delay_ms(attempt, EXPECTED_MS)
    is_polling = newest is not None and not newest.is_terminal and not polling.is_capped(attempt)
    return {
        "replay": RunPresenter(newest) if newest else None,
        "is_polling": is_polling,
        "poll_url": f"{address}?attempt={attempt + 1}",
        "page_url": page,
        "refresh_url": f"{page}?attempt={attempt + 1}",
        "delay_ms": delay_ms,
        "refresh_seconds": max(1, round(delay_ms / 1000)),
    }
