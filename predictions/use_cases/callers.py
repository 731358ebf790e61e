"""Who asks: a signed-in user, a visitor known by a cookie, or an address."""

import uuid
from functools import lru_cache
from ipaddress import ip_address

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

from predictions.models import Prediction
from predictions.models.prediction import PredictionQuerySet
from predictions.use_cases.submit import Caller

COOKIE = "visitor"
COOKIE_SECONDS = 365 * 24 * 3600


def caller_of(request: HttpRequest) -> Caller:
    """The caller of a request, by the best that is known of them.

    An address is kept only as a keyed hash: enough to tell callers apart, too little to say who they are.
    """
    if request.user.is_authenticated:
        return Caller(key_of(request.user), request.user)
    if visitor := visitor_of(request):
        return Caller(f"visitor:{visitor}")
    return Caller(f"address:{_hashed(address_of(request))}")


@lru_cache(maxsize=1024)
def _hashed(address: str) -> str:
    return salted_hmac("foretell.address", address, algorithm="sha256").hexdigest()[:32]


def key_of(user: User) -> str:
    return f"user:{user.pk}"


def history_of(request: HttpRequest) -> PredictionQuerySet:
    """What the caller of a request asked before, newest first.

    Behind one address there may be many people, so an address has no history; but in development it is this machine.
    """
    caller = caller_of(request)
    if caller.key.startswith("address:") and not is_of_this_machine(request):
        return Prediction.objects.none()
    return Prediction.objects.asked_by(caller.key)


def visitor_of(request: HttpRequest) -> str | None:
    return request.get_signed_cookie(COOKIE, default=None, salt=COOKIE) or None


def new_visitor_id(request: HttpRequest) -> str | None:
    """Give a person without an account a name for "my predictions"; None if they have one."""
    if request.user.is_authenticated or visitor_of(request):
        return None
    return uuid.uuid4().hex


def remember(response: HttpResponse, visitor: str) -> None:
    response.set_signed_cookie(
        COOKIE, visitor, salt=COOKIE, max_age=COOKIE_SECONDS, httponly=True, samesite="Lax", secure=settings.ENV.https
    )


def is_of_this_machine(request: HttpRequest) -> bool:
    """In development only: behind a proxy on the same machine everybody would seem to be."""
    is_local = address_of(request) in ("127.0.0.1", "::1")
    return is_local and settings.DEVELOPMENT and not settings.ENV.production


def address_of(request: HttpRequest) -> str:
    """The client's address: what the proxy in front says, if there is one that may be believed."""
    if settings.ENV.behind_proxy and (forwarded := request.headers.get("X-Forwarded-For", "")):
        return forwarded.rsplit(",", 1)[-1].strip()
    return str(request.META.get("REMOTE_ADDR", ""))


def internet_address_of(request: HttpRequest) -> str | None:
    """The same, for a column that takes nothing but addresses; None for a socket, or for what a proxy made up."""
    try:
        return str(ip_address(address_of(request)))
    except ValueError:
        return None
