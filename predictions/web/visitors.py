"""Callers of pages: a signed-in user, a visitor known by a signed cookie, or an address."""

import uuid

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from predictions.use_cases import addresses, callers
from predictions.use_cases.callers import Caller

COOKIE = "visitor"
COOKIE_SECONDS = 365 * 24 * 3600


def caller_of(request: HttpRequest) -> Caller:
    if request.user.is_authenticated:
        return callers.of_user(request.user)
    if visitor := visitor_of(request):
        return callers.of_visitor(visitor, client_ip(request))
    return callers.of_address(client_ip(request))


def visitor_of(request: HttpRequest) -> str | None:
    return request.get_signed_cookie(COOKIE, default=None, salt=COOKIE) or None


def new_visitor_id(request: HttpRequest) -> str | None:
    """A new id for a person without an account; None for a signed-in user, or a person who has an id already."""
    if request.user.is_authenticated or visitor_of(request):
        return None
    return uuid.uuid4().hex


def set_visitor_cookie(response: HttpResponse, visitor: str) -> None:
    response.set_signed_cookie(
        COOKIE,
        visitor,
        salt=COOKIE,
        max_age=COOKIE_SECONDS,
        path=settings.SESSION_COOKIE_PATH,
        httponly=True,
        samesite="Lax",
        secure=settings.SESSION_COOKIE_SECURE,
    )


def delete_visitor_cookie(response: HttpResponse) -> None:
    response.delete_cookie(COOKIE, path=settings.SESSION_COOKIE_PATH, samesite="Lax")


def is_of_this_machine(request: HttpRequest) -> bool:
    return callers.is_this_machine(client_ip(request))


def client_ip(request: HttpRequest) -> str:
    return addresses.client_ip(str(request.META.get("REMOTE_ADDR", "")), request.headers.get("X-Forwarded-For", ""))


def counted_address_of(request: HttpRequest) -> str | None:
    """The key under which sign-ins from the client's address are counted; None for a Unix socket."""
    return addresses.counted_as(client_ip(request))
