"""The replay of one prediction by another version of its model: the choice of the version, and the wait."""

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import HttpResponseClientRedirect

from predictions.models import Prediction, State
from predictions.serving.schema.errors import InvalidInput, ModelUnavailable, NotFound, QueueFull, TooMany
from predictions.serving.schema.wording import printable
from predictions.use_cases.lookup import find_prediction, find_version
from predictions.use_cases.retry import replay as replay_prediction
from predictions.web import polling
from predictions.web.access import for_predictors
from predictions.web.comparison import compare_url
from predictions.web.localized import localized
from predictions.web.presenters import PredictionPresenter
from predictions.web.visitors import caller_of


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@for_predictors
def choose(request: HttpRequest, prediction_id: uuid.UUID) -> HttpResponse:
    """The versions that can answer these values again. A POST asks the one that was chosen."""
    found = find_prediction(prediction_id, caller_of(request))
    if found.state != State.SUCCEEDED:
        raise NotFound("Only a prediction with an answer can be replayed.")
    if request.method == "POST" and (again := _replayed(request, found)) is not None:
        return redirect("replayed", found.pk, again.pk)
    versions = found.version.registered_model.versions.filter(is_archived=False).exclude(pk=found.version_id)
    context = {
        "prediction": PredictionPresenter(found),
        "numbers": list(versions.order_by("-number").values_list("number", flat=True)),
    }
    return render(request, "predictions/replay.html", context)


def _replayed(request: HttpRequest, found: Prediction) -> Prediction | None:
    """The new prediction. None if it was refused; then a message says why."""
    number = request.POST.get("version", "")
    try:
        version = find_version(found.version.registered_model.name, number)
        return replay_prediction(found, version, caller_of(request))
    except InvalidInput:
        text = gettext("Version %(number)s asks for other values, so it cannot answer these.")
        messages.error(request, text % {"number": printable(number)})
    except (NotFound, ModelUnavailable, QueueFull, TooMany) as error:
        messages.error(request, localized(error.sentence))
    return None


@require_safe
@never_cache
@for_predictors
def replayed(request: HttpRequest, prediction_id: uuid.UUID, again_id: uuid.UUID) -> HttpResponse:
    """A page that waits for the second answer, and then redirects to the comparison of both."""
    caller = caller_of(request)
    before, after = find_prediction(prediction_id, caller), find_prediction(again_id, caller)
    if before.version.registered_model_id != after.version.registered_model_id:
        raise NotFound
    is_fragment = bool(request.htmx)  # type: ignore[attr-defined]
    if after.is_terminal:
        both = compare_url(before, after)
        return HttpResponseClientRedirect(both) if is_fragment else redirect(both)
    template = "predictions/_replayed.html" if is_fragment else "predictions/replayed.html"
    response = render(request, template, _waiting(before, after, polling.attempt_of(request)))
    patch_vary_headers(response, ["HX-Request"])
    return response


def _waiting(before: Prediction, after: Prediction, attempt: int) -> dict[str, Any]:
    delay_ms = polling.delay_ms(attempt, after.version.manifest.get("predict_ms") or 0.0)
    page_url = reverse("replayed", args=[before.pk, after.pk])
    return {
        "prediction": PredictionPresenter(before),
        "again": PredictionPresenter(after, attempt),
        "is_polling": not polling.is_capped(attempt),
        "poll_url": f"{page_url}?attempt={attempt + 1}",
        "page_url": page_url,
        "delay_ms": delay_ms,
        "refresh_seconds": max(1, round(delay_ms / 1000)),
    }
