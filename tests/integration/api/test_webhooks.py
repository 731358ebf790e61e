"""Asking for a webhook, its log and its secret."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from predictions.models import ApiToken, ModelVersion, Prediction, State, Webhook
from tests.integration.api.conftest import problem
from tests.integration.conftest import IRIS, make, signed_in
from tests.support.api_client import ApiClient

PREDICT = "/api/v1/models/iris/predictions/"
URL = "https://example.org/hook"
HOOK = {"webhook": {"url": URL}}


@pytest.fixture
def program(iris: ModelVersion, owner: User) -> ApiClient:
    """A client with a token of the owner."""
    return ApiClient(owner)


def test_webhook_is_kept_with_each_row(program: ApiClient, owner: User) -> None:
    one = program.post(PREDICT, {"features": IRIS, **HOOK})
    two = program.post(PREDICT, {"rows": [IRIS, IRIS], **HOOK})

    assert (one.status_code, two.status_code) == (202, 202)
    assert {(hook.url, hook.caller) for hook in Webhook.objects.all()} == {(URL, f"user:{owner.pk}")}
    assert {hook.token for hook in Webhook.objects.all()} == {ApiToken.objects.get().digest}
    kept = set(Webhook.objects.values_list("prediction_id", flat=True))
    assert kept == set(Prediction.objects.values_list("pk", flat=True))
    assert len(kept) == 3


def test_caller_without_a_token_gets_no_webhook(client: ApiClient, iris: ModelVersion) -> None:
    assert problem(client.post(PREDICT, {"features": IRIS, **HOOK}), 401)
    assert not Prediction.objects.exists()


@pytest.mark.parametrize(
    ("webhook", "pointer"),
    [
        (5, "/webhook"), ("https://example.org/", "/webhook"), ({}, "/webhook"), ({"url": URL, "key": 1}, "/webhook"),
        ({"url": None}, "/webhook/url"), ({"url": "gopher://a/"}, "/webhook/url"), ({"url": ""}, "/webhook/url"),
        ({"url": "http://127.0.0.1:6379/"}, "/webhook/url"), ({"url": "https://a/" + "b" * 2000}, "/webhook/url"),
    ],
)  # fmt: skip
def test_bad_webhook_is_refused_with_its_place(program: ApiClient, webhook: Any, pointer: str) -> None:
    body = problem(program.post(PREDICT, {"features": IRIS, "webhook": webhook}), 422)
    assert [one["pointer"] for one in body["errors"]] == [pointer]


@pytest.mark.django_db(transaction=True)
def test_key_belongs_to_its_webhook(program: ApiClient) -> None:
    key = {"Idempotency-Key": "a key"}
    first = program.post(PREDICT, {"features": IRIS, **HOOK}, headers=key).json()["id"]
    assert program.post(PREDICT, {"features": IRIS, **HOOK}, headers=key).json()["id"] == first
    other = {"webhook": {"url": URL + "/other"}}
    assert problem(program.post(PREDICT, {"features": IRIS, **other}, headers=key), 422)
    assert Webhook.objects.count() == 1


def test_owner_reads_the_log(program: ApiClient) -> None:
    accepted = program.post(PREDICT, {"features": IRIS, **HOOK}).json()
    hook = Webhook.objects.get()
    assert hook.take()
    hook.record(500, "status", 12.5, is_last=False)

    body = program.get(f"/api/v1/predictions/{accepted['id']}/webhook/").json()
    [attempt] = body.pop("attempts")
    assert attempt.pop("at")
    assert attempt == {"number": 1, "http_status": 500, "problem": "status", "milliseconds": 12.5}
    assert body.pop("next_at")
    assert body == {"prediction": accepted["id"], "url": URL, "message_id": hook.message_id, "status": "open"}


def test_analyst_sees_the_prediction_and_not_the_webhook(program: ApiClient, owner: User, analyst: User) -> None:
    accepted = program.post(PREDICT, {"features": IRIS, **HOOK}).json()
    page = f"/predictions/{accepted['id']}/"

    assert problem(ApiClient(analyst).get(f"/api/v1{page}webhook/"), 404)
    assert URL not in signed_in(analyst).get(page).content.decode()
    assert URL in signed_in(owner).get(page).content.decode()


def test_prediction_without_a_webhook_has_no_log(program: ApiClient, iris: ModelVersion, owner: User) -> None:
    row = make(iris, State.SUCCEEDED, caller=f"user:{owner.pk}", owner=owner)
    assert problem(program.get(f"/api/v1/predictions/{row.pk}/webhook/"), 404)


def test_page_shows_each_attempt(program: ApiClient, owner: User) -> None:
    accepted = program.post(PREDICT, {"features": IRIS, **HOOK}).json()
    hook = Webhook.objects.get()
    Webhook.objects.update(next_at=timezone.now() - timedelta(seconds=1))
    assert hook.take()
    hook.record(None, "timed_out", 5000.0, is_last=False)

    page = signed_in(owner).get(f"/predictions/{accepted['id']}/").content.decode()
    assert "timed_out" in page
    assert hook.message_id in page


def test_each_token_has_its_own_secret(program: ApiClient, owner: User, client: ApiClient) -> None:
    path = "/api/v1/webhooks/secret/"
    secret = program.get(path).json()["secret"]

    assert secret.startswith("whsec_")
    assert program.get(path).json()["secret"] == secret
    assert ApiClient(owner).get(path).json()["secret"] != secret
    assert problem(client.get(path), 401)
