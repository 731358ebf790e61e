"""After too many wrong passwords."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

# No account has a longer name; and a longer one does not fit where attempts are kept.
LONGEST_NAME = 150


def name_of(request: HttpRequest, credentials: Mapping[str, Any] | None = None) -> str | None:
    """By which attempts are counted: what was typed for a name, as much of it as an account may have."""
    name = (credentials or request.POST).get("username")
    return name[:LONGEST_NAME] if name else None


def locked_out(request: HttpRequest, response: HttpResponse, credentials: Mapping[str, Any]) -> HttpResponse:
    """Instead of the sign-in form, for as long as `AXES_COOLOFF_TIME`; the right password is not looked at either."""
    seconds = int(settings.AXES_COOLOFF_TIME.total_seconds())
    page = render(request, "429.html", {"minutes": seconds // 60}, status=429)
    page["Retry-After"] = str(seconds)
    return page
