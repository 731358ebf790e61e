"""Error pages for requests that were refused before they reached a view, or that failed in a view."""

from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.log import log_response

from predictions.api import problems
from predictions.serving.schema.errors import ForetellError, InternalError
from predictions.serving.schema.request_errors import BadRequest, TooLarge

TOO_LONG = (RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent)


def failed(request: HttpRequest) -> HttpResponse:
    """The page for an internal error. Django has already logged the error; the page shows nothing of it."""
    return _page(InternalError())


def not_understood(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(TooLarge() if isinstance(exception, TOO_LONG) else BadRequest())


def refused(request: HttpRequest, error: ForetellError) -> HttpResponse:
    """Log an error with its notes, and return its page."""
    response = _page(error)
    why = ": ".join([response.reason_phrase, request.path, *problems.notes(error)])
    log_response("%s", why, response=response, request=request)
    return response


def _page(error: ForetellError) -> HttpResponse:
    """The page of an error. It needs no user, session or database."""
    status = problems.STATUS[type(error)]
    return HttpResponse(render_to_string(f"{status}.html"), status=status)
