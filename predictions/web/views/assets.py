"""Permanent URLs of static files whose own URLs change with their content."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe


@require_safe
@cache_control(public=True, max_age=3600)
def height(request: HttpRequest) -> HttpResponse:
    """The script that gives an embedded form its height. Pages of other sites load it from this URL."""
    return redirect(static("embed-host.js"))


@require_safe
@cache_control(public=True, max_age=3600)
def icon(request: HttpRequest) -> HttpResponse:
    """Browsers request `/favicon.ico` for a document that names no icon, such as a JSON response."""
    return redirect(static("favicon.svg"))
