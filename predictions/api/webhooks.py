"""Webhooks in the JSON API: the log of deliveries, and the secret that signs them."""

import uuid
from typing import Any

from rest_framework import serializers
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

from predictions.api.openapi import operation, problems
from predictions.api.threads import caller_of
from predictions.models.webhook import WebhookStatus, signing_secret
from predictions.serving.schema.errors import NotAuthenticated, NotFound
from predictions.use_cases.lookup import find_prediction
from predictions.use_cases.webhooks import webhook_of


class AttemptBody(serializers.Serializer[Any]):
    """`http_status` is null if the receiver did not answer. `problem` is a code, null if it took the message."""

    number = serializers.IntegerField()
    at = serializers.DateTimeField()
    http_status = serializers.IntegerField(allow_null=True)
    problem = serializers.CharField(allow_null=True)
    milliseconds = serializers.FloatField()


class WebhookBody(serializers.Serializer[Any]):
    """`message_id` is the header `webhook-id`. `next_at` is the time of the next attempt, null if there is none."""

    prediction = serializers.UUIDField()
    url = serializers.CharField()
    message_id = serializers.CharField()
    status = serializers.ChoiceField(WebhookStatus.choices)
    next_at = serializers.DateTimeField(allow_null=True)
    attempts = AttemptBody(many=True)


class SecretBody(serializers.Serializer[Any]):
    secret = serializers.CharField()


@operation("read_prediction_webhook", responses={200: WebhookBody, **problems(401, 403, 404, 410)})
@api_view(["GET", "HEAD"])
def log(request: Request, prediction_id: uuid.UUID) -> Response:
    """All attempts to deliver the webhook, oldest first. Only the caller that asked for the webhook may read them."""
    row = find_prediction(prediction_id, caller_of(request))
    hook = webhook_of(row, caller_of(request))
    if hook is None:
        raise NotFound("You have asked for no webhook with this prediction.")
    attempts = [
        {
            "number": one.number,
            "at": one.at,
            "http_status": one.http_status,
            "problem": one.problem or None,
            "milliseconds": one.milliseconds,
        }
        for one in hook.log.all()
    ]
    return Response(
        {
            "prediction": str(row.pk),
            "url": hook.url,
            "message_id": hook.message_id,
            "status": hook.status,
            "next_at": hook.next_at if hook.status == WebhookStatus.OPEN else None,
            "attempts": attempts,
        }
    )


@operation("read_webhook_secret", responses={200: SecretBody, **problems(401)})
@api_view(["GET", "HEAD"])
def secret(request: Request) -> Response:
    """Each token has its own secret. The secret changes with the token, and with SECRET_KEY of the server."""
    if not (token := caller_of(request).token):
        raise NotAuthenticated
    return Response({"secret": signing_secret(token)})
