"""Explanation and what-if of an answer: fragments that poll like the prediction, and pages without a script."""

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from predictions.explanations import requests
from predictions.models import Computation, Prediction
from predictions.serving.schema.errors import NoAnswer, TooManyQuestions
from predictions.use_cases.lookup import find_prediction
from predictions.web import polling
from predictions.web.explanation import ComputationPresenter, ExplanationPresenter
from predictions.web.localized import localized
from predictions.web.views.answers import STOP_POLLING
from predictions.web.visitors import caller_of
from predictions.web.what_if import InvalidChange, WhatIfPresenter, changed_row

# Most explanations and what-ifs are computed within this time.
EXPECTED_MS = 300.0


@require_safe
@never_cache
def explanation(request: HttpRequest, prediction_id: uuid.UUID) -> HttpResponse:
    found = find_prediction(prediction_id, caller_of(request))
    shown = ExplanationPresenter(found, _asked(found), **_polling(request))
    return _render(request, "predictions/_explanation.html", shown)


@require_safe
@never_cache
def what_if(request: HttpRequest, prediction_id: uuid.UUID) -> HttpResponse:
    """`?feature=<name>&value=<text>` asks for the answer with this value of the feature instead of its own."""
    found = find_prediction(prediction_id, caller_of(request))
    feature, text = request.GET.get("feature", ""), request.GET.get("value", "")
    values, problem = None, ""
    try:
        values = changed_row(found, feature, text) if feature or text else None
        asked = _asked(found, values, is_what_if=True)
    except InvalidChange as error:
        asked, problem = _asked(found, is_what_if=True), str(error)
    except TooManyQuestions as error:
        asked, problem = _asked(found, is_what_if=True), localized(error.sentence)
    shown = WhatIfPresenter(found, asked, feature=feature, text=text, problem=problem, **_polling(request))
    return _render(request, "predictions/_what_if.html", shown)


def _asked(found: Prediction, values: Any = None, *, is_what_if: bool = False) -> Computation | None:
    """The computation of the explanation or what-if; None while there is no answer to explain."""
    try:
        return requests.what_if(found, values) if is_what_if else requests.explanation(found)
    except NoAnswer:
        return None


def _polling(request: HttpRequest) -> dict[str, Any]:
    attempt = polling.attempt_of(request)
    return {
        "attempt": attempt,
        "delay_ms": polling.delay_ms(attempt, EXPECTED_MS),
        "capped": polling.is_capped(attempt),
    }


def _render(request: HttpRequest, fragment: str, shown: ComputationPresenter) -> HttpResponse:
    is_fragment = bool(request.htmx)  # type: ignore[attr-defined]
    template = fragment if is_fragment else "predictions/more.html"
    # A first fragment that is ready does not poll; htmx swaps 286 like 200.
    status = STOP_POLLING if is_fragment and not shown.is_polling else 200
    context = {"shown": shown, "fragment": fragment, "refresh_seconds": max(1, round(shown.delay_ms / 1000))}
    response = render(request, template, context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response
