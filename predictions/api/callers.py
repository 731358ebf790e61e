"""Who a request of the API comes from: the owner of its token, or the address that it comes from.

Sessions and cookies are for pages; the API does not read them.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from django.db import close_old_connections

from predictions.api.http import ApiRequest
from predictions.models import ApiToken
from predictions.models.api_token import Scope
from predictions.models.database import DATABASE_AWAY
from predictions.queue.batcher import Batcher, map_catching
from predictions.serving.schema.errors import InvalidToken
from predictions.use_cases import lookup
from predictions.use_cases.callers import Caller, of_address, of_user

# Returns None if the request does not use the scheme. Raises InvalidToken if it uses it wrongly.
Scheme = Callable[[ApiRequest], Awaitable[Caller | None]]

BEARER = "bearer"


async def bearer(request: ApiRequest) -> Caller | None:
    """The caller of a bearer token (RFC 6750, section 2.1). None without the header Authorization.

    Raises:
        InvalidToken: the token is not valid. Or the scheme is another one: its sender expects to be authenticated.
    """
    authorization = request.headers.get("authorization")
    if authorization is None:
        return None
    scheme, _, secret = authorization.partition(" ")
    if scheme.lower() != BEARER or not secret.strip():
        raise InvalidToken("Send the token as Authorization: Bearer <token>.")
    return await tokens.ask(secret.strip())


SCHEMES: list[Scheme] = [bearer]


async def identify(request: ApiRequest) -> Caller:
    """The caller by the first scheme that the request uses, else by its address. Raises InvalidToken."""
    for scheme in SCHEMES:
        if (caller := await scheme(request)) is not None:
            return caller
    return of_address(request.address)


def _of_token(secret: str) -> Caller:
    token = ApiToken.objects.by_secret(secret)
    if token is None:
        raise InvalidToken
    ApiToken.objects.note_use(token)
    bounds = {"may_predict": token.scope != Scope.READ, "may_operate": token.scope == Scope.OPERATE}
    return replace(of_user(token.user), **bounds, only_model=token.model_name, token=token.digest)


def _of_tokens(secrets: Sequence[str]) -> list[Caller | Exception]:
    close_old_connections()
    return map_catching(_of_token, secrets, DATABASE_AWAY)


tokens = Batcher(_of_tokens, fatal=DATABASE_AWAY, executor=lookup.reading)
