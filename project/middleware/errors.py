"""Answers with an error page if the view of a page raises an error of the product."""

import logging
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from predictions.api import problems
from predictions.serving.schema.errors import InternalError
from predictions.web.localized import localized

logger = logging.getLogger("django.request")

# The errors that have a page of their own.
PAGES = {403, 404, 410, 503}


class Errors:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """None leaves the exception to Django, which logs it and answers with the page for 500."""
        known = problems.of(exception)
        status = problems.STATUS[type(known)]
        if isinstance(known, InternalError) or status not in PAGES:
            return None
        logger.warning("%s: %s", problems.phrase(status), request.path)
        response = render(request, f"{status}.html", {"sentence": localized(known.sentence)}, status=status)
        if known.retry_after is not None:
            response["Retry-After"] = str(known.retry_after)
        return response
