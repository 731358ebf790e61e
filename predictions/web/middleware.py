"""Middleware: a name for each request, what programs need not pass, and what a page says when the database is away."""

import logging
import re
import uuid
from collections.abc import Callable
from typing import Any

from csp.middleware import CSPMiddleware
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.deprecation import MiddlewareMixin

from project.logs import request_id

logger = logging.getLogger(__name__)
RETRY_SECONDS = 5
# What a proxy in front may call a request.
WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestIds:
    """Gives each request an id that its log lines and its answer carry: the proxy's, or one of our own.

    It stands until the thread's next request, since Django logs a refusal only after the last middleware.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.META.get("HTTP_X_REQUEST_ID", "") if settings.ENV.behind_proxy else ""
        name = given if WELL_FORMED.fullmatch(given) else uuid.uuid4().hex
        request_id.set(name)
        response = self.get_response(request)
        response["X-Request-ID"] = name
        return response


def is_of_a_program(request: HttpRequest) -> bool:
    """An API request that brings no session: it has no use for one, nor for what stands on it."""
    return request.path_info.startswith(("/api/", "/v2")) and settings.SESSION_COOKIE_NAME not in request.COOKIES


class _NotForPrograms(MiddlewareMixin):
    """Before a middleware class: lets requests of programs pass it by, which halves what they spend in middleware."""

    def __call__(self, request: HttpRequest) -> Any:
        return self.get_response(request) if is_of_a_program(request) else super().__call__(request)


class PageSessions(_NotForPrograms, SessionMiddleware):
    pass


class PageUsers(_NotForPrograms, AuthenticationMiddleware):
    pass


class PageMessages(_NotForPrograms, MessageMiddleware):
    pass


class PagePolicy(_NotForPrograms, CSPMiddleware):
    """JSON runs no scripts; but the API's documentation is a page, with or without a session."""

    def __call__(self, request: HttpRequest) -> Any:
        is_page = request.path_info.startswith("/api/v1/docs")
        return CSPMiddleware.__call__(self, request) if is_page else super().__call__(request)


class DatabaseAwayMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, OperationalError | InterfaceError):
            return None
        logger.error("the database is away: %s", type(exception).__name__)
        response = render(request, "503.html", status=503)
        response["Retry-After"] = str(RETRY_SECONDS)
        return response
