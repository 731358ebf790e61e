"""Access to pages: who may open them, and sign-in for the others."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django_htmx.http import HttpResponseClientRedirect

from predictions.use_cases.operate import OPERATE

VIEW_MONITOR = "predictions.view_monitor"

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def may_predict(request: HttpRequest) -> bool:
    return settings.PUBLIC_PREDICTIONS or request.user.is_authenticated


def for_predictors(view: View[P]) -> View[P]:
    """Sign in first, unless predictions are public."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        return view(request, *args, **kwargs) if may_predict(request) else ask_to_sign_in(request)

    return guarded


def for_analysts(view: View[P]) -> View[P]:
    """Only for analysts, who may see the predictions of all users, and for operators. Others sign in or get a 403."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return ask_to_sign_in(request)
        if not (request.user.has_perm(VIEW_MONITOR) or request.user.has_perm(OPERATE)):
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return guarded


def ask_to_sign_in(request: HttpRequest) -> HttpResponse:
    """Redirect to the sign-in page. htmx loads that page as a whole. A POST is not repeated after the sign-in."""
    back = request.get_full_path() if request.method == "GET" else "/"
    response = redirect_to_login(back)
    return HttpResponseClientRedirect(response.url) if request.headers.get("HX-Request") else response
