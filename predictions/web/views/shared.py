"""A result by its view-only link: nothing can be canceled, rated or asked again."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from predictions.use_cases.sharing import find_shared
from predictions.web.presenters import PredictionPresenter


@require_safe
@never_cache
def shared(request: HttpRequest, view_token: str) -> HttpResponse:
    response = render(request, "predictions/shared.html", {"prediction": PredictionPresenter(find_shared(view_token))})
    response["X-Robots-Tag"] = "noindex"
    return response
