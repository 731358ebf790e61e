"""The list of models, and the page of each with its form."""

import json
import uuid
from dataclasses import replace
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import push_url, reswap, retarget

from predictions.lifecycle import registry
from predictions.models import ModelVersion, Prediction, RegisteredModel, Source
from predictions.models.ids import new_prediction_id
from predictions.models.prediction import PredictionQuerySet
from predictions.serving.schema.errors import KeyReused, ModelUnavailable, NotFound, QueueFull, Removed, TooMany
from predictions.serving.schema.signature import Signature
from predictions.use_cases.callers import Caller, history_of, of_visitor
from predictions.use_cases.embeddings import embeddings_for, may_embed
from predictions.use_cases.lookup import find_model, find_prediction
from predictions.use_cases.submit import PredictCommand, submit_row
from predictions.web import waiting
from predictions.web.access import for_predictors
from predictions.web.cards import card_html
from predictions.web.compression import compressed
from predictions.web.embedding import EmbeddingPresenter
from predictions.web.examples import requests as examples_to_copy
from predictions.web.figures import ModelPresenter, VersionPresenter
from predictions.web.formatting import decimal_mark
from predictions.web.forms import KEY, PredictionForm, written
from predictions.web.localized import localized
from predictions.web.model_card import CardPresenter
from predictions.web.presenters import PredictionPresenter
from predictions.web.versions import VersionsPresenter, challenger_of, events, own_aliases, pending
from predictions.web.visitors import caller_of, client_ip, new_visitor_id, set_visitor_cookie

# `?from=last` fills the form with the caller's latest values. The page links to this word instead of an id: an id would
# be a secret, and the page is compressed.
LAST = "last"


@compressed
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    models = [ModelPresenter(model) for model in RegisteredModel.objects.listed()]
    return render(request, "predictions/home.html", {"models": models})


@compressed
@require_safe
@cache_control(private=True, no_cache=True)  # with no-store, Back over HTTPS would lose the typed values
@for_predictors
def model(request: HttpRequest, name: str) -> HttpResponse:
    registered = find_model(name)
    version = registry.serving_for(registered, caller_of(request).routed_as)
    start = _values_to_start_with(request, registered)
    form = PredictionForm(version, values=start, matrix=_matrix(registered)) if version else None
    response = render(request, "predictions/model.html", _page(request, registered, form))
    if "from" in request.GET:  # the page holds the values of a prediction
        add_never_cache_headers(response)
    # The cookie is set before the form is sent, so both posts of a double click come from one visitor.
    if visitor := new_visitor_id(request):
        set_visitor_cookie(response, visitor)
    return response


@compressed
@require_safe
@for_predictors
def card(request: HttpRequest, name: str) -> HttpResponse:
    """The model card: what a person wrote, and the evidence of the version that serves."""
    registered = find_model(name)
    version = registered.champion
    context = {
        "model": registered,
        "version": CardPresenter(version) if version else None,
        "card": card_html(registered.description.get("card", "")),
    }
    return render(request, "predictions/card.html", context)


@compressed
@require_safe
@for_predictors
def versions(request: HttpRequest, name: str) -> HttpResponse:
    """All versions side by side. Only analysts and operators see the history of changes."""
    registered = find_model(name)
    found = list(registered.versions.order_by("-number").prefetch_related("aliases"))
    may_operate = request.user.has_perm("predictions.operate_models")
    may_see_history = may_operate or request.user.has_perm("predictions.view_monitor")
    context = {
        "model": registered,
        "versions": VersionsPresenter(registered, found),
        "may_operate": may_operate,
        "may_see_history": may_see_history,
        "events": events(registered) if may_see_history else [],
        "pending": pending(registered) if may_see_history else [],
        "challenger": challenger_of(registered) if may_see_history else None,
        "own_aliases": own_aliases(registered) if may_operate else [],
    }
    return render(request, "predictions/versions.html", context)


@require_POST
@for_predictors
def predict(request: HttpRequest, name: str) -> HttpResponse:
    registered = find_model(name)
    version = registry.serving_for(registered, caller_of(request).routed_as)
    if version is None:
        return render(request, "predictions/model.html", _page(request, registered, None), status=503)
    form = PredictionForm(version, request.POST, matrix=_matrix(registered))
    if not form.is_valid():
        return _show_errors(request, registered, form)
    visitor = new_visitor_id(request)
    caller = of_visitor(visitor, client_ip(request)) if visitor else caller_of(request)
    response = _ask(request, registered, form, version, caller)
    if visitor:
        set_visitor_cookie(response, visitor)
    return response


def _ask(
    request: HttpRequest, registered: RegisteredModel, form: PredictionForm, version: ModelVersion, caller: Caller
) -> HttpResponse:
    try:
        prediction = _submit(version, form, caller)
    except ModelUnavailable:
        return render(request, "predictions/model.html", _page(request, registered, None), status=503)
    except (QueueFull, TooMany) as error:
        form.add_error(None, localized(error.sentence))
        form.helper.form_error_title = gettext("Not just now")
        response = _show_errors(request, registered, form, status=503 if isinstance(error, QueueFull) else 429)
        response["Retry-After"] = str(error.retry_after)
        return response
    page = reverse("prediction", args=[prediction.pk])
    if not request.htmx:  # type: ignore[attr-defined]
        return HttpResponse(status=303, headers={"Location": page})
    shown = PredictionPresenter(prediction, viewer=caller.key)
    response = render(request, "predictions/_prediction.html", {"prediction": shown}, status=202)
    return push_url(response, page)


def _submit(version: ModelVersion, form: PredictionForm, caller: Caller) -> Prediction:
    key = form.cleaned_data[KEY]
    command = PredictCommand(
        version, [form.row], [new_prediction_id()], caller, Source.FORM, idempotency_key=key and f"form:{key}"
    )
    try:
        return submit_row(command)
    except KeyReused:  # the same page was sent with other values
        return submit_row(replace(command, idempotency_key=None))


def _show_errors(
    request: HttpRequest, registered: RegisteredModel, form: PredictionForm, status: int = 422
) -> HttpResponse:
    if not request.htmx:  # type: ignore[attr-defined]
        return render(request, "predictions/model.html", _page(request, registered, form), status=status)
    response = render(request, "predictions/_form.html", _page(request, registered, form), status=status)
    return reswap(retarget(response, "#prediction-form"), "outerHTML")


def _values_to_start_with(request: HttpRequest, registered: RegisteredModel) -> dict[str, Any] | None:
    """The values of `?example=2`, `?from=<prediction>` or `?from=last`; None for any other query."""
    examples = _examples(registered)
    number = request.GET.get("example", "")
    if number.isascii() and number.isdigit() and len(number) < 9 and 0 < int(number) <= len(examples):
        values: dict[str, Any] = examples[int(number) - 1]["values"]
        return values
    earlier = _earlier(request, registered)
    return dict(zip(earlier.version.signature.names, earlier.values, strict=True)) if earlier else None


def _earlier(request: HttpRequest, registered: RegisteredModel) -> Prediction | None:
    """The prediction of this model that `?from=` names: an id, or `last` for the latest one of this caller."""
    named = request.GET.get("from", "")
    if named == LAST:
        return _asked_before(request, registered).select_related("version").first()
    try:
        earlier = find_prediction(uuid.UUID(named), caller_of(request))
    except (ValueError, NotFound, Removed):
        return None
    return earlier if earlier.version.registered_model_id == registered.pk else None


def _asked_before(request: HttpRequest, registered: RegisteredModel) -> PredictionQuerySet:
    return history_of(caller_of(request)).filter(version__registered_model=registered)


def _matrix(registered: RegisteredModel) -> dict[str, Any] | None:
    matrix: dict[str, Any] | None = registered.description.get("matrix")
    return matrix


def _examples(registered: RegisteredModel) -> list[dict[str, Any]]:
    examples: list[dict[str, Any]] = registered.description.get("examples", [])
    return examples


def _examples_to_fill(registered: RegisteredModel, signature: Signature) -> list[dict[str, Any]]:
    """The examples as links, with the texts that fill the form's fields."""
    return [
        {"number": number, "title": example["title"], "values_json": _values_json(signature, example["values"])}
        for number, example in enumerate(_examples(registered), 1)
    ]


def _values_json(signature: Signature, values: dict[str, Any]) -> str:
    return json.dumps(written(signature, values, decimal_mark()))


def _requests(request: HttpRequest, registered: RegisteredModel) -> list[dict[str, str]]:
    url = request.build_absolute_uri(reverse("api-predict", args=[registered.name]))
    examples = _examples(registered)
    return examples_to_copy(url, examples[0]["values"]) if examples else []


def _page(request: HttpRequest, registered: RegisteredModel, form: PredictionForm | None) -> dict[str, Any]:
    version = registry.version_for(registered, caller_of(request).routed_as)
    return {
        "model": registered,
        "version": VersionPresenter(version) if version else None,
        "form": form,
        "examples": _examples_to_fill(registered, form.signature) if form else [],
        "has_last_values": form is not None and _asked_before(request, registered).exists(),
        "late_text": waiting.form_warning(),
        "requests": _requests(request, registered),
        "may_embed": may_embed(request.user),
        "embeddings": [EmbeddingPresenter(one, request) for one in embeddings_for(request.user, registered)],
        "card": card_html(registered.description.get("card", "")),
    }
