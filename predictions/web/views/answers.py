"""Pages of one prediction: the result, its status fragment; cancel, retry, feedback, CSV."""

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from predictions.models import Prediction, State, clock
from predictions.serving.schema.errors import (
    CannotCancel,
    InvalidInput,
    ModelUnavailable,
    NoAnswer,
    NotFound,
    QueueFull,
    TooMany,
)
from predictions.use_cases.cancel import cancel as cancel_prediction
from predictions.use_cases.feedback import give_feedback, given_feedback
from predictions.use_cases.lookup import find_prediction
from predictions.use_cases.retry import retry as retry_prediction
from predictions.use_cases.wait import subscribe, wait_in_thread
from predictions.use_cases.webhooks import webhook_of
from predictions.web import polling, waiting
from predictions.web.access import for_predictors
from predictions.web.download import csv_text
from predictions.web.feedback import InvalidFeedback, read_feedback
from predictions.web.localized import localized
from predictions.web.presenters import PredictionPresenter
from predictions.web.visitors import caller_of

# htmx 2 swaps a response with this status and stops polling.
STOP_POLLING = 286


@require_safe
@never_cache
def prediction(request: HttpRequest, prediction_id: uuid.UUID) -> HttpResponse:
    found = find_prediction(prediction_id, caller_of(request))
    shown = _present(request, found)
    context = {"prediction": shown, "webhook": webhook_of(found, caller_of(request)), **_reload(shown)}
    return render(request, "predictions/prediction.html", context)


def _present(request: HttpRequest, found: Prediction) -> PredictionPresenter:
    attempt = polling.attempt_of(request)
    is_capped = polling.is_capped(attempt) and not found.is_terminal
    late_since = waiting.workers_late_since(clock.recent()) if is_capped else None
    viewer = caller_of(request).key
    is_slow = found.state == State.QUEUED and attempt >= polling.SLOW
    return PredictionPresenter(
        found,
        attempt,
        viewer=viewer,
        late_since=late_since,
        ahead=Prediction.objects.ahead_of(found, polling.MOST_AHEAD) if is_slow else None,
        feedback=given_feedback(found, viewer),
    )


def _reload(shown: PredictionPresenter) -> dict[str, Any]:
    """The meta refresh of the page: without JavaScript it reloads itself after the delay after which a script polls."""
    if shown.is_terminal or shown.capped:
        return {}
    return {
        "refresh_seconds": max(1, round(shown.delay_ms / 1000)),
        "refresh_url": f"{shown.url}?attempt={shown.next_attempt}",
    }


@require_safe
@never_cache
def status(request: HttpRequest, prediction_id: uuid.UUID) -> HttpResponse:
    with subscribe([prediction_id]) as subscription:
        found = find_prediction(prediction_id, caller_of(request))
        if not found.is_terminal:
            wait_in_thread([found], subscription, polling.HOLD_SECONDS)
    shown = _present(request, found)
    ended = shown.is_terminal and request.htmx  # type: ignore[attr-defined]
    response = render(
        request, "predictions/_prediction.html", {"prediction": shown}, status=STOP_POLLING if ended else 200
    )
    patch_vary_headers(response, ["HX-Request"])
    return response


@require_POST
def cancel(request: HttpRequest, prediction_id: uuid.UUID) -> HttpResponse:
    caller = caller_of(request)
    try:
        cancel_prediction(find_prediction(prediction_id, caller), caller)
    except CannotCancel as error:
        messages.info(request, localized(error.sentence))
    return redirect("prediction", prediction_id)


@require_POST
@for_predictors
def retry(request: HttpRequest, prediction_id: uuid.UUID) -> HttpResponse:
    """Ask again with the same values: a new prediction, by the version that serves now."""
    caller = caller_of(request)
    found = find_prediction(prediction_id, caller)
    try:
        again = retry_prediction(found, caller)
    except InvalidInput:  # the version that serves now needs other values
        model = reverse("model", args=[found.version.registered_model.name])
        return redirect(f"{model}?from={found.pk}")
    except NotFound:
        messages.error(request, localized(ModelUnavailable.sentence))
    except (ModelUnavailable, QueueFull, TooMany) as error:
        messages.error(request, localized(error.sentence))
    else:
        return redirect("prediction", again.pk)
    return redirect("prediction", found.pk)


@require_POST
def feedback(request: HttpRequest, prediction_id: uuid.UUID) -> HttpResponse:
    """Store the feedback of the person who asked. The redirect leads to the result, which shows the feedback."""
    caller = caller_of(request)
    found = find_prediction(prediction_id, caller)
    try:
        give_feedback(found, caller, **read_feedback(request.POST, found))
        messages.success(request, gettext("Thank you, noted."))
    except InvalidFeedback as error:
        messages.error(request, str(error))
    except NoAnswer as error:
        messages.error(request, localized(error.sentence))
    return redirect("prediction", found.pk)


@require_safe
@never_cache
def csv(request: HttpRequest, prediction_id: uuid.UUID) -> HttpResponse:
    found = find_prediction(prediction_id, caller_of(request))
    return HttpResponse(
        csv_text(found),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="prediction-{found.pk}.csv"'},
    )
