"""Announced uploads: the sender of a file is checked before the body is received."""

from collections.abc import Callable
from http import HTTPStatus

from django.contrib import messages
from django.http import HttpRequest, HttpResponse

from predictions.api.http import content_length
from predictions.batches.uploads import check_upload
from predictions.serving.schema.errors import ForetellError, NotFound, Removed
from predictions.web.access import ask_to_sign_in, may_predict
from predictions.web.localized import localized
from predictions.web.visitors import caller_of
from project.error_responses import refused

# The key in the ASGI scope that marks a request whose body has not been received yet.
ANNOUNCED = "foretell.announced"


class AnnouncedUploads:
    """Answers an announced upload: status 100 if its body may be received, or else the response for its sender."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        is_announced = getattr(request, "scope", {}).get(ANNOUNCED, False)
        return _answer(request) if is_announced else self.get_response(request)


def _answer(request: HttpRequest) -> HttpResponse:
    if not may_predict(request):
        return ask_to_sign_in(request)
    length = content_length({"content-length": request.META.get("CONTENT_LENGTH") or ""})
    is_file = request.content_type == "multipart/form-data"  # a form without a file starts the job of a draft
    try:
        check_upload(request.path_info, length, caller_of(request), makes_job=is_file)
    except (NotFound, Removed) as error:
        return refused(request, error)
    except ForetellError as error:
        messages.error(request, localized(error.sentence))
        return HttpResponse(status=HTTPStatus.SEE_OTHER, headers={"Location": _back(request)})
    return HttpResponse(status=HTTPStatus.CONTINUE)


def _back(request: HttpRequest) -> str:
    """The page with the form that was sent."""
    return request.get_full_path().removesuffix("corrections/")
