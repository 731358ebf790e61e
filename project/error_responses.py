"""Pages for requests that reach no view: refused before one, or failed in one."""

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from predictions.api import problems
from predictions.serving.schema.errors import BadRequest, ForetellError, InternalError, TooLarge


def failed(request: HttpRequest) -> HttpResponse:
    """Django has logged the error; the page tells nothing of it."""
    return refused(InternalError())


def not_understood(request: HttpRequest, exception: Exception) -> HttpResponse:
    return refused(TooLarge() if isinstance(exception, RequestDataTooBig) else BadRequest())


def refused(error: ForetellError) -> HttpResponse:
    """Needs no user, session or database."""
    status = problems.STATUS[type(error)]
    return HttpResponse(render_to_string(f"{status}.html"), status=status)
