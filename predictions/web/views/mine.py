"""The caller's predictions: a list with search that updates itself, and the same list as a CSV file."""

import time
from typing import Any

from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from predictions.lifecycle import registry
from predictions.models import ModelVersion, Prediction, RegisteredModel
from predictions.models.prediction import PredictionQuerySet
from predictions.use_cases.callers import history_of
from predictions.use_cases.history import HistoryFilter
from predictions.web.access import for_predictors
from predictions.web.history import FilterPresenter, HistoryRow, csv_lines, digest
from predictions.web.visitors import caller_of

PAGE_SIZE = 50
POLL_MS = 3000
# A list stops polling after this time without a change.
WATCH_SECONDS = 600


@require_safe
@never_cache
@for_predictors
def mine(request: HttpRequest) -> HttpResponse:
    """The page; for htmx the list alone, or 204 if nothing has changed since `seen`."""
    page = Paginator(_chosen(request).apply(_rows(request)), PAGE_SIZE).get_page(request.GET.get("page"))
    is_fragment = bool(request.htmx)  # type: ignore[attr-defined]
    mark, is_over = digest(page), is_fragment and _is_over(request)
    if is_fragment and not is_over and mark == request.GET.get("seen"):
        response = HttpResponse(status=204)
    else:
        template = "predictions/_mine.html" if is_fragment else "predictions/list.html"
        response = render(request, template, _context(request, page, mark, is_over=is_over))
    patch_vary_headers(response, ["HX-Request"])
    return response


def _rows(request: HttpRequest) -> PredictionQuerySet:
    return history_of(caller_of(request))


def _chosen(request: HttpRequest) -> HistoryFilter:
    return HistoryFilter.of(*(request.GET.get(name, "") for name in ("model", "grade", "q")))


def _is_over(request: HttpRequest) -> bool:
    """Whether the time during which an unchanged list polls is over."""
    until = request.GET.get("until", "")
    return not (until.isascii() and until.isdigit() and len(until) < 12 and time.time() < int(until))


def _context(request: HttpRequest, page: "Page[Prediction]", mark: str, *, is_over: bool) -> dict[str, Any]:
    filters = FilterPresenter(_chosen(request), RegisteredModel.objects.listed())
    number = page.number if page.number > 1 else None
    until = int(time.time()) + WATCH_SECONDS
    return {
        "filters": filters,
        "predictions": [HistoryRow(row) for row in registry.attach_versions(page)],
        "chosen": request.GET.getlist("id"),
        "url": filters.page_url(page=number),
        "poll_url": None if is_over else filters.page_url(page=number, seen=mark, until=until),
        "poll_ms": POLL_MS,
        "next_url": filters.page_url(page=page.next_page_number()) if page.has_next() else None,
        "previous_url": filters.page_url(page=page.previous_page_number()) if page.has_previous() else None,
    }


@require_safe
@never_cache
@for_predictors
def as_csv(request: HttpRequest) -> StreamingHttpResponse:
    """All pages of the list. If the list is of one model, each of its inputs has a column."""
    chosen = _chosen(request)
    response = StreamingHttpResponse(
        csv_lines(chosen.apply(_rows(request)), _names(chosen.model)), content_type="text/csv; charset=utf-8"
    )
    response["Content-Disposition"] = 'attachment; filename="predictions.csv"'
    return response


def _names(model: str) -> list[str]:
    """The inputs of all versions of a model. Those of the newest version come first."""
    versions = ModelVersion.objects.filter(registered_model__name=model).order_by("-number") if model else ()
    return list(dict.fromkeys(name for version in versions for name in version.signature.names))
