"""Webhooks: the outbox of messages about ended predictions, and the log of delivery attempts.

A webhook is inserted with its prediction, in one transaction. It is due when the prediction has ended. A settle writes
nothing here, so predictions without a webhook cost nothing, and no end is missed.
"""

import base64
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import models, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy, pgettext_lazy

MOST_URL = 2000
# If a delivery does not end within this time, its process has died: the row is due again.
LEASE = timedelta(minutes=2)
# The pauses before the second and each later attempt. The first attempt is made at once.
PAUSES = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 3600, 14_400, 36_000))
MOST_ATTEMPTS = len(PAUSES) + 1
# The most rows of one caller in one claim, so that its slow receivers do not delay those of others.
OF_CALLER = 4


class WebhookStatus(models.TextChoices):
    OPEN = "open", pgettext_lazy("webhook", "Open")
    DELIVERED = "delivered", gettext_lazy("Delivered")
    FAILED = "failed", gettext_lazy("Given up")


class WebhookQuerySet(models.QuerySet["Webhook"]):
    def due(self, ended: "models.QuerySet[Any]") -> "WebhookQuerySet":
        """The open webhooks of the predictions `ended` whose next attempt is due."""
        of_ended = Exists(ended.filter(pk=OuterRef("prediction_id")))
        return self.filter(of_ended, status=WebhookStatus.OPEN, next_at__lte=Now())

    def claim(self, ended: "models.QuerySet[Any]", most: int) -> "list[Webhook]":
        """Claim up to `most` due webhooks for `LEASE`, a few of each caller. A claim counts as an attempt."""
        due = self.due(ended)
        callers = due.order_by().values_list("caller", flat=True).distinct()[:most]
        found = [hook for caller in callers for hook in due.filter(caller=caller).order_by("next_at")[:OF_CALLER]]
        return [hook for hook in found[:most] if hook.take()]

    def expect(self, hooks: "Sequence[Webhook]", now: datetime) -> None:
        """Insert new rows, in the transaction that inserts their predictions."""
        for hook in hooks:
            hook.next_at = now
        self.bulk_create(hooks)


class Webhook(models.Model):
    """The receiver of the message that one prediction has ended.

    `token` is the digest of the request's API token. The signing key is derived from it.
    """

    prediction_id = models.UUIDField(primary_key=True, editable=False)
    url = models.CharField(max_length=MOST_URL)
    token = models.CharField(max_length=128)
    caller = models.CharField(max_length=80)
    status = models.CharField(max_length=10, choices=WebhookStatus.choices, default=WebhookStatus.OPEN)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField()

    objects = WebhookQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["next_at"], condition=Q(status="open"), name="webhooks_due")]

    def __str__(self) -> str:
        return f"webhook of {self.prediction_id}"

    @property
    def message_id(self) -> str:
        """The same for each attempt, so that a receiver can detect a duplicate."""
        return f"msg_{self.prediction_id.hex}"

    def take(self) -> bool:
        """Claim the row for one attempt. False if another process has claimed it."""
        same = Webhook.objects.filter(pk=self.pk, status=WebhookStatus.OPEN, attempts=self.attempts, next_at__lte=Now())
        won = same.update(attempts=F("attempts") + 1, next_at=Now() + LEASE) == 1
        self.attempts += won
        return won

    def record(self, http_status: int | None, problem: str, milliseconds: float, *, is_last: bool) -> None:
        """Log this attempt. Unless the lease was lost, set the new status or the time of the next attempt."""
        held = Webhook.objects.filter(pk=self.pk, status=WebhookStatus.OPEN, attempts=self.attempts)
        with transaction.atomic():
            if not Webhook.objects.filter(pk=self.pk).exists():
                return  # its prediction was removed meanwhile
            WebhookAttempt.objects.create(
                webhook=self,
                number=self.attempts,
                at=Now(),
                http_status=http_status,
                problem=problem,
                milliseconds=milliseconds,
            )
            if not problem:
                held.update(status=WebhookStatus.DELIVERED)
            elif is_last or self.attempts >= MOST_ATTEMPTS:
                held.update(status=WebhookStatus.FAILED)
            else:
                held.update(next_at=Now() + PAUSES[self.attempts - 1])


class WebhookAttempt(models.Model):
    """`problem` is a code, empty if the receiver took the message; `http_status` is the receiver's, if it answered."""

    webhook = models.ForeignKey(Webhook, models.CASCADE, related_name="log")
    number = models.PositiveSmallIntegerField()
    at = models.DateTimeField()
    http_status = models.PositiveSmallIntegerField(null=True)
    problem = models.CharField(max_length=30, blank=True)
    milliseconds = models.FloatField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"attempt {self.number}"


def signing_key(token_digest: str) -> bytes:
    """The key of a token's webhooks. It is derived from SECRET_KEY, so it is stored nowhere."""
    return salted_hmac("foretell.webhook", token_digest, algorithm="sha256").digest()


def signing_secret(token_digest: str) -> str:
    """The key in the format of Standard Webhooks."""
    return "whsec_" + base64.b64encode(signing_key(token_digest)).decode()
