"""A model's form and its result in another site's page. No cookie is read or set: see `predictions.web.embedding`."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.utils.translation import gettext
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import reswap, retarget

from predictions.lifecycle import registry
from predictions.models import Embedding, ModelVersion, Prediction, RegisteredModel, Source, clock
from predictions.models.ids import new_prediction_id
from predictions.serving.schema.errors import KeyReused, ModelUnavailable, NotFound, QueueFull, Removed, TooMany
from predictions.use_cases.callers import Caller, of_embedding
from predictions.use_cases.embeddings import find_result, unseal
from predictions.use_cases.lookup import find_model
from predictions.use_cases.submit import PredictCommand, submit_row
from predictions.use_cases.wait import subscribe, wait_in_thread
from predictions.web import polling, waiting
from predictions.web.embedding import EmbeddedPresenter, framed
from predictions.web.figures import VersionPresenter
from predictions.web.forms import KEY, PredictionForm
from predictions.web.localized import localized
from predictions.web.views.answers import STOP_POLLING
from predictions.web.visitors import client_ip

GONE = {NotFound: 404, Removed: 410}


@dataclass(frozen=True)
class _Place:
    """A model in an embedding, the caller who asks there, and the context of the page."""

    embedding: Embedding
    caller: Caller

    @cached_property
    def model(self) -> RegisteredModel:
        return find_model(self.embedding.registered_model.name)

    @cached_property
    def version(self) -> ModelVersion | None:
        return registry.serving_for(self.model, self.caller.routed_as)

    def form(self, **values: Any) -> PredictionForm | None:
        matrix: dict[str, Any] | None = self.model.description.get("matrix")
        return PredictionForm(self.version, matrix=matrix, **values) if self.version else None

    def page(self, form: PredictionForm | None) -> dict[str, Any]:
        return {
            "model": self.model,
            "version": VersionPresenter(self.version) if self.version else None,
            "form": form,
            "url": reverse("embedded", args=[self.embedding.key]),
            "host": self.embedding.origin,
            "late_text": waiting.form_warning(),
        }


# --- The form ---------------------------------------------------------------------------------------------------------
@require_http_methods(["GET", "HEAD", "POST"])
@framed
@cache_control(private=True, no_cache=True)
def form(request: HttpRequest, embedding: Embedding) -> HttpResponse:
    place = _Place(embedding, of_embedding(embedding, client_ip(request)))
    if request.method == "POST":
        return _predict(request, place)
    earlier = _earlier_values(place, request.GET.get("from", ""))
    response = render(request, "embed/form.html", place.page(place.form(values=earlier)))
    if earlier:  # the page holds the values of a prediction
        add_never_cache_headers(response)
    return response


def _earlier_values(place: _Place, sealed: str) -> dict[str, Any] | None:
    try:
        earlier = find_result(place.embedding, unseal(place.embedding, sealed))
    except (NotFound, Removed):
        return None
    return dict(zip(earlier.version.signature.names, earlier.values, strict=True))


def _predict(request: HttpRequest, place: _Place) -> HttpResponse:
    form = place.form(data=request.POST)
    if form is None or place.version is None:
        return render(request, "embed/form.html", place.page(None), status=503)
    if not form.is_valid():
        return _show_errors(request, place, form)
    try:
        prediction = _submit(place.caller, place.version, form)
    except ModelUnavailable:
        return render(request, "embed/form.html", place.page(None), status=503)
    except (QueueFull, TooMany) as error:
        form.add_error(None, localized(error.sentence))
        form.helper.form_error_title = gettext("Not just now")
        response = _show_errors(request, place, form, status=503 if isinstance(error, QueueFull) else 429)
        response["Retry-After"] = str(error.retry_after)
        return response
    shown = EmbeddedPresenter(place.embedding, prediction)
    if not request.htmx:  # type: ignore[attr-defined]
        return HttpResponse(status=303, headers={"Location": shown.url})
    return render(request, "embed/_prediction.html", {"prediction": shown}, status=202)


def _submit(caller: Caller, version: ModelVersion, form: PredictionForm) -> Prediction:
    key = form.cleaned_data[KEY]

    def ask(key: str | None) -> Prediction:
        return submit_row(
            PredictCommand(version, [form.row], [new_prediction_id()], caller, Source.FORM, idempotency_key=key)
        )

    try:
        return ask(key and f"form:{key}")
    except KeyReused:  # the same page was sent with other values
        return ask(None)


def _show_errors(request: HttpRequest, place: _Place, form: PredictionForm, status: int = 422) -> HttpResponse:
    if not request.htmx:  # type: ignore[attr-defined]
        return render(request, "embed/form.html", place.page(form), status=status)
    response = render(request, "embed/_form.html", place.page(form), status=status)
    return reswap(retarget(response, "#prediction-form"), "outerHTML")


# --- The result -------------------------------------------------------------------------------------------------------
@require_safe
@framed
@never_cache
def result(request: HttpRequest, embedding: Embedding, sealed: str) -> HttpResponse:
    """The result as a page of its own, for browsers without JavaScript."""
    try:
        shown = _present(request, embedding, find_result(embedding, unseal(embedding, sealed)))
    except (NotFound, Removed) as error:
        return _gone(request, embedding, error)
    context = {"prediction": shown, "host": embedding.origin}
    if not shown.is_terminal and not shown.capped:
        context["refresh_seconds"] = max(1, round(shown.delay_ms / 1000))
        context["refresh_url"] = f"{shown.url}?attempt={shown.next_attempt}"
    return render(request, "embed/result.html", context)


@require_safe
@framed
@never_cache
def status(request: HttpRequest, embedding: Embedding, sealed: str) -> HttpResponse:
    try:
        prediction_id = unseal(embedding, sealed)
        with subscribe([prediction_id]) as subscription:
            found = find_result(embedding, prediction_id)
            if not found.is_terminal:
                wait_in_thread([found], subscription, polling.HOLD_SECONDS)
    except (NotFound, Removed) as error:
        return _gone(request, embedding, error)
    shown = _present(request, embedding, found)
    ended = shown.is_terminal and request.htmx  # type: ignore[attr-defined]
    code = STOP_POLLING if ended else 200
    response = render(request, "embed/_prediction.html", {"prediction": shown}, status=code)
    patch_vary_headers(response, ["HX-Request"])
    return response


def _present(request: HttpRequest, embedding: Embedding, found: Prediction) -> EmbeddedPresenter:
    attempt = polling.attempt_of(request)
    is_capped = polling.is_capped(attempt) and not found.is_terminal
    late_since = waiting.workers_late_since(clock.recent()) if is_capped else None
    return EmbeddedPresenter(embedding, found, attempt, late_since=late_since)


def _gone(request: HttpRequest, embedding: Embedding, error: NotFound | Removed) -> HttpResponse:
    """The error page for the frame. Other sites may not show the ordinary error page in a frame."""
    context = {"host": embedding.origin, "sentence": error.sentence, "url": reverse("embedded", args=[embedding.key])}
    return render(request, "embed/gone.html", context, status=GONE[type(error)])
