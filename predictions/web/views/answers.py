"""Pages of predictions: the list of mine, one prediction, its status fragment; cancel, retry, feedback."""

import uuid
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from predictions.lifecycle import registry
from predictions.models import Feedback, Prediction, RegisteredModel, Source, State
from predictions.queue import completions
from predictions.serving.schema.errors import InvalidInput, ModelUnavailable, QueueFull
from predictions.use_cases.admission import TooMany
from predictions.use_cases.callers import caller_of, history_of
from predictions.use_cases.submit import Request, submit
from predictions.web import polling, waiting
from predictions.web.access import find_prediction, for_predictors
from predictions.web.presenters import PredictionPresenter

# htmx 2 swaps a response with this status and stops polling.
STOP_POLLING = 286
PAGE_SIZE = 50
FEEDBACK = {"yes": True, "no": False}


@require_safe
@never_cache
@for_predictors
def mine(request: HttpRequest) -> HttpResponse:
    page = Paginator(history_of(request), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "predictions": [PredictionPresenter(prediction) for prediction in registry.complete(page)],
        "next_url": f"?page={page.next_page_number()}" if page.has_next() else None,
        "previous_url": f"?page={page.previous_page_number()}" if page.has_previous() else None,
    }
    return render(request, "predictions/list.html", context)


@require_safe
@never_cache
def prediction(request: HttpRequest, prediction_id: uuid.UUID) -> HttpResponse:
    shown = _present(request, find_prediction(request, prediction_id))
    return render(request, "predictions/prediction.html", {"prediction": shown, **_reload(shown)})


def _present(request: HttpRequest, found: Prediction) -> PredictionPresenter:
    attempt = polling.attempt_of(request)
    is_capped = polling.is_capped(attempt) and not found.is_terminal
    late_since = waiting.workers_late_since(timezone.now()) if is_capped else None
    return PredictionPresenter(found, attempt, viewer=caller_of(request).key, late_since=late_since)


def _reload(shown: PredictionPresenter) -> dict[str, Any]:
    """Without JavaScript the page reloads itself at the delays at which a script would poll."""
    if shown.is_terminal or shown.capped:
        return {}
    return {
        "refresh_seconds": max(1, round(shown.delay_ms / 1000)),
        "refresh_url": f"{shown.url}?attempt={shown.next_attempt}",
    }


@require_safe
@never_cache
def status(request: HttpRequest, prediction_id: uuid.UUID) -> HttpResponse:
    with completions.waiters.expecting(prediction_id, polling.HOLD_SECONDS) as place:
        found = find_prediction(request, prediction_id)
        if not found.is_terminal:
            completions.wait_for(found, place, polling.HOLD_SECONDS)
    shown = _present(request, found)
    ended = shown.is_terminal and request.htmx  # type: ignore[attr-defined]
    response = render(
        request, "predictions/_prediction.html", {"prediction": shown}, status=STOP_POLLING if ended else 200
    )
    patch_vary_headers(response, ["HX-Request"])
    return response


@require_POST
def cancel(request: HttpRequest, prediction_id: uuid.UUID) -> HttpResponse:
    found = find_prediction(request, prediction_id)
    if Prediction.objects.filter(pk=found.pk).cancel():
        completions.announce([found.pk])
    else:
        messages.info(request, "It had already ended; there was nothing to cancel.")
    return redirect("prediction", found.pk)


@require_POST
@for_predictors
def retry(request: HttpRequest, prediction_id: uuid.UUID) -> HttpResponse:
    """Ask again with the same values: a new prediction, by the version that serves now."""
    found = find_prediction(request, prediction_id)
    name = found.version.registered_model.name
    values = dict(zip(found.version.signature.names, found.values, strict=True))
    try:
        again = submit(Request(registry.find(name), values, caller_of(request), Source.FORM))
    except RegisteredModel.DoesNotExist:
        messages.error(request, ModelUnavailable.sentence)
    except (ModelUnavailable, QueueFull, TooMany) as error:
        messages.error(request, error.sentence)
    except InvalidInput:  # the version that serves now asks for something else
        return redirect(f"{reverse('model', args=[name])}?from={found.pk}")
    else:
        return redirect("prediction", again.pk)
    return redirect("prediction", found.pk)


@require_POST
def feedback(request: HttpRequest, prediction_id: uuid.UUID) -> HttpResponse:
    found = find_prediction(request, prediction_id)
    said = FEEDBACK.get(request.POST.get("was_right", ""))
    if found.state == State.SUCCEEDED and said is not None:
        Feedback.objects.say(found, caller_of(request).key, was_right=said)
        messages.success(request, "Thank you, noted.")
    else:
        messages.error(request, "Say yes or no, of a prediction that has an answer.")
    return redirect("prediction", found.pk)
