"""Request ids: in responses, in log lines, and from the web process to the worker."""

import json
import logging
import os
import re
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from predictions import context
from predictions.models import ModelVersion, Prediction, Source
from predictions.models.ids import new_prediction_id
from predictions.queue import notifications
from predictions.use_cases import submit
from predictions.use_cases.callers import Caller
from predictions.worker import drain
from project import logs
from project.env import BASE_DIR
from tests.integration.conftest import IRIS, make, run_worker
from tests.support.site_client import Client

GENERATED = re.compile(r"[0-9a-f]{32}")


@pytest.fixture
def proxy(settings: Any) -> None:
    settings.BEHIND_PROXY = True


def request_id_for(client: Client, sent: str | None) -> str:
    response = client.get("/healthz/live", headers={"X-Request-ID": sent} if sent is not None else {})
    return str(response["X-Request-ID"])


def test_request_gets_a_generated_id(client: Client) -> None:
    first, second = request_id_for(client, None), request_id_for(client, "of-the-client")

    assert GENERATED.fullmatch(first)
    assert GENERATED.fullmatch(second)
    assert first != second


@pytest.mark.usefixtures("proxy")
def test_request_keeps_the_id_of_the_proxy(client: Client) -> None:
    assert request_id_for(client, "A.proxy_s-0id") == "A.proxy_s-0id"


@pytest.mark.usefixtures("proxy")
@pytest.mark.parametrize("sent", ["", "a b", "a\nb", "x" * 65, "é", '"}'])
def test_invalid_id_of_the_proxy_is_replaced(client: Client, sent: str) -> None:
    assert GENERATED.fullmatch(request_id_for(client, sent))


@pytest.mark.parametrize("address", ["/nothing/", "/api/v1/predictions/7/"])
def test_not_found_has_an_id_and_is_logged_with_it(
    client: Client, db: None, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    caplog.handler.addFilter(logs.with_request_id)

    response = client.get(address)

    assert response.status_code == 404
    logged = next(record for record in caplog.records if record.name == "django.request")
    assert logged.request_id == response["X-Request-ID"]  # type: ignore[attr-defined]


@pytest.mark.usefixtures("clean_redis")
def test_log_follows_a_prediction_without_its_inputs(
    client: Client, iris: ModelVersion, caplog: pytest.LogCaptureFixture
) -> None:
    values = [5.4321, 3.4567, 1.2345, 0.9876]
    with caplog.at_level(logging.DEBUG, "predictions"):
        response = client.post(
            "/api/v1/models/iris/predictions/", json.dumps({"features": values}), content_type="application/json"
        )
        run_worker(iris)

    lines = [json.loads(logs.SafeJsonFormatter().format(record)) for record in caplog.records]
    by_event = {line["message"].split()[0]: line for line in lines if line["logger"].startswith("predictions.")}
    assert by_event.keys() >= {"accepted", "claimed", "settled"}
    assert [by_event[word]["predictions"] for word in ("accepted", "claimed", "settled")] == [
        [response.json()["id"]]
    ] * 3
    assert by_event["accepted"]["requests"] == [response["X-Request-ID"]]
    assert [value for value in values if str(value) in json.dumps(lines)] == []


def test_failures_of_a_claim_are_one_line(iris: ModelVersion, caplog: pytest.LogCaptureFixture) -> None:
    ids = sorted(str(make(iris, values=["no number", 1, 1, 1]).pk) for _ in range(3))
    with caplog.at_level(logging.WARNING, "predictions"):
        run_worker(iris)

    failures = [record for record in caplog.records if record.name == "predictions.worker.drain"]
    assert [record.getMessage() for record in failures] == [f"3 of version {iris.pk} failed: model_error"]
    assert sorted(failures[0].predictions) == ids  # type: ignore[attr-defined]
    lines = [logs.SafeJsonFormatter().format(record) for record in caplog.records]
    assert [line for line in lines if "no number" in line] == []


def test_notification_carries_the_request_it_is_for(iris: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    monkeypatch.setattr(notifications, "notify", lambda *_: heard.append(context.request_id.get()))
    command = submit.PredictCommand(iris, [IRIS], [new_prediction_id()], Caller("visitor:named"), Source.API)
    context.request_id.set("request-that-asks")
    submission = submit.submission_of(command)
    context.request_id.set("request-that-commits")

    submit.accept([submission])

    assert heard == ["request-that-asks"]
    assert context.request_id.get() == "request-that-commits"


def test_worker_knows_the_request_of_its_notification(
    iris: ModelVersion, clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    from predictions import tasks

    context.request_id.set("request-of-the-web")
    assert notifications.notify("interactive")
    message = json.loads(clean_redis.lindex("interactive", 0))
    assert message["headers"]["request_id"] == "request-of-the-web"

    seen: list[str] = []
    monkeypatch.setattr(drain, "drain_lane", lambda *_: seen.append(context.request_id.get()))
    context.request_id.set("")
    task = SimpleNamespace(request=SimpleNamespace(get=message["headers"].get, hostname="worker@here"))
    tasks.drain_lane.run.__func__(task, "interactive")

    assert seen == ["request-of-the-web"]
    assert Prediction.objects.count() == 0


PRODUCTION = {
    "PRODUCTION": "true",
    "DEBUG": "false",
    "SECRET_KEY": "kR7wq2nX9vB4mZ1tL6yD3hJ8sF5gP0cA-eU_iO2xQ7rW4nT9bVzM1kY6",
    "ALLOWED_HOSTS": "example.org",
    "REDIS_URL": "redis://:hunter2hunter2@127.0.0.1:1/0",
    "METRICS_TOKEN": "another-hunter2-token",
}
LOG_SECRETS = """
import logging, django
django.setup()
from django.conf import settings
from predictions.queue import notifications
notifications.notify("interactive")
try:
    raise OSError(f"away: {settings.REDIS_URL}")
except OSError:
    logging.getLogger("kombu").exception("no connection to %s %s", settings.REDIS_URL, settings.METRICS_TOKEN)
"""


def test_production_log_is_json_without_secrets(tmp_path: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOG_SECRETS],
        cwd=BASE_DIR,
        env={**os.environ, **PRODUCTION, "VAR_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "project.settings"},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["level"] for line in lines] == ["WARNING", "ERROR"]
    assert "hunter2" not in done.stderr
    assert lines[1]["message"] == "no connection to redis://***@127.0.0.1:1/0 ***"
