"""A name for each request, which its log lines and its answer carry."""

import re
import uuid
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from predictions.context import request_id

# What a proxy in front may call a request.
WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,64}")
HEADER = "X-Request-ID"


class RequestIds:
    """The name stands until the thread's next request, since Django logs a refusal only after the last middleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        name = name_of(request)
        request_id.set(name)
        response = self.get_response(request)
        response[HEADER] = name
        return response


def name_of(request: HttpRequest) -> str:
    """The proxy's, or one of our own."""
    given = request.META.get("HTTP_X_REQUEST_ID", "") if settings.ENV.behind_proxy else ""
    return given if WELL_FORMED.fullmatch(given) else uuid.uuid4().hex
