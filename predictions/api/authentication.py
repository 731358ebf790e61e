"""Who a program is: a token in `Authorization: Bearer …`, or the session of a signed-in browser."""

from django.contrib.auth.models import User
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from predictions.models import ApiToken

SCHEME = "Bearer"
REFUSED = "The token is not valid: it is mistyped, expired or revoked. Make a new one at /accounts/tokens/."


class BearerAuthentication(BaseAuthentication):
    """RFC 6750, section 2.1."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        scheme, _, secret = get_authorization_header(request).partition(b" ")
        if scheme.lower() != SCHEME.lower().encode():
            return None
        token = ApiToken.objects.by_secret(secret.strip().decode("latin-1"))
        if token is None:
            raise AuthenticationFailed(REFUSED)
        ApiToken.objects.note_use(token)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return f'{SCHEME} realm="foretell"'
