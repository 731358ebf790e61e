"""Pages for requests that reach no view: refused before one, or failed in one."""

from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.log import log_response

from predictions.api import problems
from predictions.serving.schema.errors import ForetellError, InternalError
from predictions.serving.schema.request_errors import BadRequest, TooLarge

TOO_LONG = (RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent)


def failed(request: HttpRequest) -> HttpResponse:
    """Django has logged the error; the page tells nothing of it."""
    return _page(InternalError())


def not_understood(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(TooLarge() if isinstance(exception, TOO_LONG) else BadRequest())


def refused(request: HttpRequest, error: ForetellError) -> HttpResponse:
    """The page for an error, which is logged with its notes."""
    response = _page(error)
    why = ": ".join([response.reason_phrase, request.path, *problems.notes(error)])
    log_response("%s", why, response=response, request=request)
    return response


def _page(error: ForetellError) -> HttpResponse:
    """Needs no user, session or database."""
    status = problems.STATUS[type(error)]
    return HttpResponse(render_to_string(f"{status}.html"), status=status)
