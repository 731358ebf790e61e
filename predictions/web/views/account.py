"""The account page: export and removal of a user's data."""

from typing import cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from predictions.use_cases.erase import erase
from predictions.use_cases.export import export as export_of


@require_safe
@never_cache
@login_required
def account(request: HttpRequest) -> HttpResponse:
    return render(request, "registration/account.html", {"retention": settings.RETENTION})


@require_safe
@never_cache
@login_required
def export(request: HttpRequest) -> StreamingHttpResponse:
    response = StreamingHttpResponse(export_of(_user(request)), content_type="application/json")
    response["Content-Disposition"] = 'attachment; filename="foretell-export.json"'
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def remove(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return render(request, "registration/remove.html")
    if erase(_user(request)):
        messages.success(request, gettext("Your predictions, feedback, tokens and embeddings are removed."))
        return redirect("account")
    said = gettext("There is much to remove, and a part of it is left. Press the button again to go on.")
    messages.info(request, said)
    return redirect("remove-data")


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)
