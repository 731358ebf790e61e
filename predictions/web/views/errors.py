"""The error page for 404 (there is nothing at the address) and 410 (it was removed)."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from predictions.web.access import Removed


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    status = 410 if isinstance(exception, Removed) else 404
    return render(request, f"{status}.html", status=status)
