"""Error pages of the site: what is not found or removed, and errors of our own tree that a view raises."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from predictions.web.access import Removed


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    status = 410 if isinstance(exception, Removed) else 404
    return render(request, f"{status}.html", status=status)
