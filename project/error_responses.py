"""What is said where no view says anything, in the words of each door: pages, the JSON API, the inference protocol."""

from http import HTTPStatus

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string

from predictions.api.problems import MEDIA_TYPE

SORRY = "Something went wrong here. It has been noted."
TOO_LARGE = "The body is too large."


def failed(request: HttpRequest) -> HttpResponse:
    """Django has logged what it was; nothing of it is told."""
    return refused(request, 500, "internal_error", SORRY)


def not_understood(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, RequestDataTooBig):
        return refused(request, 413, "too_large", TOO_LARGE)
    return refused(request, 400, "bad_request", "That request made no sense here.")


def refused(request: HttpRequest, status: int, code: str, sentence: str) -> HttpResponse:
    """Needs no user, session or database."""
    if request.path_info.startswith("/api/"):
        body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
        return JsonResponse({**body, "code": code, "detail": sentence}, status=status, content_type=MEDIA_TYPE)
    if request.path_info.startswith("/v2"):
        return JsonResponse({"error": sentence}, status=status)
    return HttpResponse(render_to_string(f"{status}.html"), status=status)
