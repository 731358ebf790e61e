"""Limits the body of a page's request: its size, its compression and its Content-Type."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from predictions.api.http import content_length, is_readable
from predictions.api.problems import too_large
from predictions.batches.limits import most_bytes
from predictions.serving.schema.request_errors import UnsupportedMediaType
from project.error_responses import refused


class BodyLimits:
    """Refuses a body by its headers before anything reads it.

    Django's own limit does not count files, which it writes to the disk as they come.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.META.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
            return refused(request, UnsupportedMediaType())
        if not is_readable(request.META.get("CONTENT_TYPE", "")):
            return refused(request, UnsupportedMediaType())
        length = content_length({"content-length": request.META.get("CONTENT_LENGTH") or ""})
        if length > most_bytes(request.path_info):
            return refused(request, too_large(request.path_info))
        return self.get_response(request)
