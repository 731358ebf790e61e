"""Bodies of requests: how large they may be, and that they come as they are."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from predictions.api.headers import content_length
from project.error_responses import TOO_LARGE, refused


class BodyLimits:
    """Before anything reads a body: one that says that it is too large, or that it is compressed, is not read at all.

    Django's own limit does not count files, which it writes to the disk as they come.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.META.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
            sentence = "A compressed body is not understood; send it as it is."
            return refused(request, 415, "unsupported_media_type", sentence)
        if content_length(request) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            return refused(request, 413, "too_large", TOO_LARGE)
        return self.get_response(request)
