"""Requests of programs: answered before the middleware of pages, of which they use nothing."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.response import SimpleTemplateResponse
from django.urls import resolve

# The doors of programs. The documentation of the API is a page, with or without a session; and to a path of the API
# without its slash, Django's middleware answers with the right one.
DOORS, PAGES = ("/api/", "/v2"), ("/api/v1/docs",)


class Programs:
    """Answers what brings no session to one of the doors of programs, and lets everything else through.

    What stands before it in `MIDDLEWARE` is for all; what stands after it, for people: sessions, users, messages,
    content policies.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return _answer(request) if _is_of_a_program(request) else self.get_response(request)


def _is_of_a_program(request: HttpRequest) -> bool:
    path = request.path_info
    return (
        path.startswith(DOORS)
        and not path.startswith(PAGES)
        and (path.endswith("/") or path.startswith("/v2"))
        and settings.SESSION_COOKIE_NAME not in request.COOKIES
    )


def _answer(request: HttpRequest) -> HttpResponse:
    """As Django does behind its last middleware. What is raised becomes an answer where it would anyway.

    Raises:
        DisallowedHost: the request is for another host. Asked before anything comes of it.
    """
    request.get_host()
    request.resolver_match = match = resolve(request.path_info)
    response: HttpResponse = match.func(request, *match.args, **match.kwargs)
    if isinstance(response, SimpleTemplateResponse):
        response = response.render()
    if not response.streaming and "Content-Length" not in response:
        response["Content-Length"] = str(len(response.content))
    return response
