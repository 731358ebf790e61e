"""Webhooks are delivered at least once, and log each attempt."""

import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone

from predictions.maintenance import webhook_request
from predictions.maintenance.webhooks import deliver
from predictions.models import ModelVersion, Prediction, State, Webhook
from predictions.models.webhook import MOST_ATTEMPTS, WebhookStatus, signing_secret
from tests.integration.conftest import make
from tests.support.certificate import self_signed
from tests.support.receiver import receiving


@pytest.fixture(autouse=True)
def _local_receivers(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.WEBHOOK_ALLOWED_HOSTS = ["127.0.0.1"]
    monkeypatch.setattr(webhook_request, "SECONDS", 1.0)


def expect(row: Prediction, url: str, caller: str = "user:1") -> Webhook:
    return Webhook.objects.create(prediction_id=row.pk, url=url, token="digest", caller=caller, next_at=timezone.now())


def let_time_pass() -> None:
    Webhook.objects.update(next_at=F("next_at") - timedelta(days=1))


def log_of(hook: Webhook) -> list[tuple[int, int | None, str]]:
    return list(hook.log.values_list("number", "http_status", "problem"))


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELED, State.EXPIRED])
def test_every_end_is_told_with_a_signature(iris: ModelVersion, state: State) -> None:
    row = make(iris, state)
    with receiving() as receiver:
        hook = expect(row, receiver.url)
        assert deliver() == {"webhooks_delivered": 1, "webhooks_refused": 0}
        deliver()

    [message] = receiver.got
    assert message.path == "/hook?of=mine"
    assert message.is_signed_by(signing_secret("digest"))
    assert not message.is_signed_by(signing_secret("another"))
    said = message.json()
    assert said["type"] == f"prediction.{state}"
    assert (said["data"]["id"], said["data"]["status"], said["data"]["output"]) == (str(row.pk), state, row.output)
    assert "features" not in said["data"]
    hook.refresh_from_db()
    assert (hook.status, log_of(hook)) == (WebhookStatus.DELIVERED, [(1, 204, "")])


def test_nothing_is_told_before_the_end(iris: ModelVersion) -> None:
    row = make(iris)
    with receiving() as receiver:
        expect(row, receiver.url)
        deliver()
        assert receiver.got == []

        Prediction.objects.filter(pk=row.pk).cancel()
        deliver()
    assert [message.json()["type"] for message in receiver.got] == ["prediction.canceled"]


def test_refused_message_is_sent_again_with_its_id(iris: ModelVersion) -> None:
    with receiving([500, 503, 200]) as receiver:
        hook = expect(make(iris, State.SUCCEEDED), receiver.url)
        deliver()
        deliver()  # too early
        assert len(receiver.got) == 1
        for _ in range(3):
            let_time_pass()
            deliver()

    assert {message.id for message in receiver.got} == {hook.message_id}
    assert log_of(hook) == [(1, 500, "status"), (2, 503, "status"), (3, 200, "")]


def test_receiver_that_never_answers_well_is_given_up(iris: ModelVersion) -> None:
    with receiving([500]) as receiver:
        hook = expect(make(iris, State.SUCCEEDED), receiver.url)
        for _ in range(MOST_ATTEMPTS + 2):
            deliver()
            let_time_pass()

    hook.refresh_from_db()
    assert (len(receiver.got), hook.status) == (MOST_ATTEMPTS, WebhookStatus.FAILED)


def test_receiver_that_has_gone_is_not_asked_again(iris: ModelVersion) -> None:
    with receiving([410]) as receiver:
        hook = expect(make(iris, State.SUCCEEDED), receiver.url)
        deliver()
    hook.refresh_from_db()
    assert hook.status == WebhookStatus.FAILED


def test_redirect_is_not_followed(iris: ModelVersion) -> None:
    with receiving([302]) as receiver:
        hook = expect(make(iris, State.SUCCEEDED), receiver.url)
        deliver()
    assert [message.path for message in receiver.got] == ["/hook?of=mine"]
    assert log_of(hook) == [(1, 302, "status")]


def test_private_address_is_refused_and_logged(iris: ModelVersion, settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_HOSTS = []
    with receiving() as receiver:
        hook = expect(make(iris, State.SUCCEEDED), receiver.url)
        deliver()
    assert receiver.got == []
    assert log_of(hook) == [(1, None, "address_refused")]


def test_message_of_a_deliverer_that_died_is_sent_by_the_next_one(iris: ModelVersion) -> None:
    with receiving() as receiver:
        hook = expect(make(iris, State.SUCCEEDED), receiver.url)
        ended = Prediction.objects.filter(finished_at__isnull=False)
        [taken] = Webhook.objects.claim(ended, 10)  # a deliverer dies after its claim
        deliver()
        assert receiver.got == []  # the lease holds

        let_time_pass()
        deliver()
        taken.record(None, "timed_out", 1.0, is_last=False)  # the first deliverer was only slow, and records too late

    assert len(receiver.got) == 1
    hook.refresh_from_db()
    assert (hook.status, hook.attempts) == (WebhookStatus.DELIVERED, 2)


def test_many_webhooks_of_one_caller_do_not_hold_up_another(iris: ModelVersion) -> None:
    for _ in range(40):
        expect(make(iris, State.SUCCEEDED), "http://127.0.0.1/", "user:1")
    mine = expect(make(iris, State.SUCCEEDED), "http://127.0.0.1/", "user:2")

    claimed = Webhook.objects.claim(Prediction.objects.filter(finished_at__isnull=False), 8)
    assert mine.pk in {hook.pk for hook in claimed}


def test_removed_prediction_is_not_told(iris: ModelVersion) -> None:
    row = make(iris, State.SUCCEEDED)
    with receiving() as receiver:
        expect(row, receiver.url)
        Prediction.objects.remove([row.pk])
        deliver()
    assert receiver.got == []
    assert not Webhook.objects.exists()


# --- TLS --------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls(certificate: Path, settings: Any) -> ssl.SSLContext:
    """The context of a receiver on `localhost`, a private address that is allowed here."""
    settings.WEBHOOK_ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    return context


def test_message_is_delivered_over_tls_to_a_receiver_of_a_known_authority(
    iris: ModelVersion, tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with receiving(tls=tls) as receiver:
        hook = expect(make(iris, State.SUCCEEDED), f"https://localhost:{receiver.port}/hook")
        deliver()

    [message] = receiver.got
    assert message.is_signed_by(signing_secret("digest"))
    assert message.headers["host"] == f"localhost:{receiver.port}"
    assert log_of(hook) == [(1, 204, "")]


@pytest.mark.parametrize(("host", "is_known"), [("localhost", False), ("127.0.0.1", True)])
def test_certificate_that_is_unknown_or_of_another_name_is_refused(
    iris: ModelVersion,
    tls: ssl.SSLContext,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    is_known: bool,
) -> None:
    if is_known:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with receiving(tls=tls) as receiver:
        hook = expect(make(iris, State.SUCCEEDED), f"https://{host}:{receiver.port}/hook")
        deliver()

    assert receiver.got == []
    assert log_of(hook) == [(1, None, "tls_failed")]
