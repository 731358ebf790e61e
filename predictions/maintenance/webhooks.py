"""Delivers webhooks, signed as Standard Webhooks (standardwebhooks.com) specifies. A job of the maintenance process.

A message is delivered at least once. If this process dies after the receiver's answer and before the result is stored,
the message is sent again, with the same `webhook-id`.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import orjson
from django.conf import settings

from predictions.lifecycle import registry
from predictions.maintenance.runner import Done
from predictions.maintenance.webhook_request import Undelivered, post
from predictions.models import Prediction, Webhook
from predictions.models.webhook import signing_key
from predictions.serving.schema.errors import ERRORS

INTERVAL_SECONDS = 1.0
AT_A_TIME = 8
MOST_CLAIMED = 32
# A run takes no further rows after this time.
RUN_SECONDS = 10.0
GONE = 410  # Standard Webhooks: the receiver wants no more


def deliver() -> Done:
    """The job: make the attempts that are due."""
    until = time.monotonic() + RUN_SECONDS
    ended = Prediction.objects.filter(finished_at__isnull=False)
    done = {"webhooks_delivered": 0, "webhooks_refused": 0}
    while time.monotonic() < until and (hooks := Webhook.objects.claim(ended, MOST_CLAIMED)):
        for delivered in _attempt_all(hooks):
            done["webhooks_delivered" if delivered else "webhooks_refused"] += 1
    return done


def _attempt_all(hooks: list[Webhook]) -> list[bool]:
    """Returns whether each was delivered. Other threads send; only this one uses the database."""
    rows = Prediction.objects.find_all([hook.prediction_id for hook in hooks])
    registry.attach_versions(rows.values())
    with ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="webhook") as senders:
        sent = {
            senders.submit(_send, hook, body_of(rows[hook.prediction_id])): hook
            for hook in hooks
            if hook.prediction_id in rows
        }
        return [_note(sent[attempt], *attempt.result()) for attempt in as_completed(sent)]


def _note(hook: Webhook, status: int | None, problem: str, milliseconds: float) -> bool:
    hook.record(status, problem, milliseconds, is_last=status == GONE)
    return not problem


def _send(hook: Webhook, body: bytes) -> tuple[int | None, str, float]:
    """The receiver's status, a code of what was wrong, and how long it took."""
    began = time.monotonic()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "foretell",
        **signature(hook.message_id, int(time.time()), body, signing_key(hook.token)),
    }
    status, problem = None, ""
    try:
        status = post(hook.url, headers, body, settings.WEBHOOK_ALLOWED_HOSTS)
        problem = "" if 200 <= status < 300 else "status"
    except Undelivered as error:
        problem = error.code
    return status, problem, round((time.monotonic() - began) * 1000, 1)


def signature(message_id: str, timestamp: int, body: bytes, key: bytes) -> Mapping[str, str]:
    """The three headers of Standard Webhooks."""
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    mac = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": f"v1,{mac}"}


def body_of(row: Prediction) -> bytes:
    """The message that a prediction has ended, as JSON. It does not contain the inputs."""
    known = ERRORS.get(row.error_code)
    data: dict[str, Any] = {
        "id": str(row.pk),
        "model": row.version.registered_model.name,
        "version": row.version.number,
        "status": row.state,
        "output": row.version.in_order(row.output),
        "error": known and {"code": known.code, "message": known.sentence, "retryable": known.retryable},
        "created_at": row.created_at,
        "finished_at": row.finished_at,
    }
    message = {"type": f"prediction.{row.state}", "timestamp": row.finished_at, "data": data}
    return orjson.dumps(message, option=orjson.OPT_UTC_Z)
