"""Tokens for programs: hashed at rest by knox, with a name, an expiry and the time of their last use."""

import logging
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import OperationalError, models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy
from knox.crypto import hash_token
from knox.models import AbstractAuthToken, AuthTokenManager

from predictions.models import clock

logger = logging.getLogger(__name__)

# The last use is written at most this often: a busy token must not cost a write for each request.
USE_NOTED_EVERY = timedelta(minutes=1)


class Scope(models.TextChoices):
    PREDICT = "predict", gettext_lazy("Predict and read")
    READ = "read", gettext_lazy("Read only")
    OPERATE = "operate", gettext_lazy("Predict, read, and change what serves")


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def valid(self) -> "ApiTokenQuerySet":
        return self.filter(Q(expiry__isnull=True) | Q(expiry__gt=Now()), user__is_active=True)

    def of(self, user: User) -> "ApiTokenQuerySet":
        return self.filter(user=user).order_by("-created")

    def by_secret(self, secret: str) -> "ApiToken | None":
        """The valid token with this secret; None if there is none. The database stores only hashes of secrets."""
        return self.valid().select_related("user").filter(digest=hash_token(secret)).first()

    def note_use(self, token: "ApiToken") -> bool:
        """Store the time of this use, at most once in `USE_NOTED_EVERY`. True if it was stored.

        An OperationalError is only logged: a request is not refused because its time could not be stored.
        """
        known = token.last_used_at
        if known is not None and clock.recent() - known < USE_NOTED_EVERY:
            return False
        unnoted = Q(last_used_at__isnull=True) | Q(last_used_at__lt=Now() - USE_NOTED_EVERY)
        try:
            return self.filter(unnoted, pk=token.pk).update(last_used_at=Now()) == 1
        except OperationalError as error:
            logger.warning("the use of a token was not noted: %s", type(error).__name__)
            return False


class ApiToken(AbstractAuthToken):  # type: ignore[misc]  # knox has no types
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)
    scope = models.CharField(max_length=10, choices=Scope.choices, default=Scope.PREDICT)
    model_name = models.CharField(max_length=100, blank=True, help_text="The one model it is for; empty: all.")
    last_used_at = models.DateTimeField(null=True)

    objects = AuthTokenManager.from_queryset(ApiTokenQuerySet)()

    def __str__(self) -> str:
        return f"{self.name} ({self.token_key}…)"
