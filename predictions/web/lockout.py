"""The response to a sign-in after too many wrong passwords, for django-axes."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

# The longest username that Django allows. The column of the attempts has 255 characters.
LONGEST_NAME = 150


def name_of(request: HttpRequest, credentials: Mapping[str, Any] | None = None) -> str | None:
    """The typed name by which attempts are counted, cut to the length that an account may have."""
    name = (credentials or request.POST).get("username")
    return name[:LONGEST_NAME] if name else None


def locked_out(request: HttpRequest, response: HttpResponse, credentials: Mapping[str, Any]) -> HttpResponse:
    """The page (429) that replaces the sign-in form for `AXES_COOLOFF_TIME`, even for the right password."""
    seconds = int(settings.AXES_COOLOFF_TIME.total_seconds())
    page = render(request, "429.html", {"minutes": seconds // 60}, status=429)
    page["Retry-After"] = str(seconds)
    return page
