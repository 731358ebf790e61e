"""Each layer raises an error whose text has a path and a secret. Responses, rows and logs must not contain them."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from celery import Celery
from django import db as databases
from django.contrib.auth.models import User
from django.db.backends.base.base import BaseDatabaseWrapper
from django.template import TemplateSyntaxError
from django.template.base import Template
from kombu.exceptions import OperationalError as BrokerError
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

from predictions.lifecycle import registry
from predictions.models import ApiToken, ModelVersion, Prediction, State
from predictions.queue import redis_client
from predictions.web import polling
from predictions.worker import preload
from tests.integration.conftest import IRIS, make, run_worker, signed_in
from tests.support.site_client import Client

PATH, SECRET = "/srv/private/models", "hunter2"
TEXT = f"cannot open {PATH} with postgres://foretell:{SECRET}@db"


class LibraryError(Exception):
    """An error that no handler expects."""


FORBIDDEN = (PATH, SECRET, "LibraryError", "Traceback", "site-packages", '.py"', "psycopg", "sqlite", "kombu")
FORM = {"sepal length (cm)": "5", "sepal width (cm)": "3", "petal length (cm)": "1", "petal width (cm)": "0.2"}
INFER = {"inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP64", "data": IRIS}]}


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def check_hygiene(*texts: str) -> None:
    for text in texts:
        assert [word for word in FORBIDDEN if word in text] == []
        assert re.findall(r"\w(?:Error|Exception):", text) == []


@pytest.fixture
def client() -> Client:
    """A client that returns the error page, like a browser, instead of raising the error."""
    return Client(raise_request_exception=False)


@pytest.fixture
def ask(
    client: Client, iris: ModelVersion, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> Callable[[], Iterator[Any]]:
    """Sends requests to all interfaces: pages, form, JSON API and Open Inference Protocol (which ends with 504)."""
    settings.WAIT_MAX = 0.01
    monkeypatch.setattr(polling, "HOLD_SECONDS", 0.01)
    row = make(iris, State.SUCCEEDED)

    def send_all() -> Iterator[Any]:
        yield client.get("/")
        yield client.get("/models/iris/")
        yield client.post("/models/iris/predictions/", FORM)
        yield client.post("/models/iris/predictions/", FORM, headers={"HX-Request": "true"})
        for address in ("", "status/"):
            yield client.get(f"/predictions/{row.pk}/{address}")
        for address in ("models/", "models/iris/", "predictions/", f"predictions/{row.pk}/"):
            yield client.get(f"/api/v1/{address}")
        for address, body in (
            ("/api/v1/models/iris/predictions/", {"features": IRIS}),
            ("/v2/models/iris/infer", INFER),
        ):
            yield client.post(address, json.dumps(body), content_type="application/json")
        yield client.get("/v2/models/iris")

    return send_all


def count_errors(responses: Iterator[Any], status: int) -> int:
    """The number of responses with this status. Checks the format and the text of all responses."""
    count = 0
    for response in responses:
        path = response.request["PATH_INFO"]
        text = response.content.decode()
        check_hygiene(text, *(value for name, value in response.items() if name != "Content-Security-Policy"))
        assert response.status_code < 400 or response.status_code in (status, 504), path
        if response.status_code == status:
            count += 1
            if path.startswith("/api/"):
                assert response["Content-Type"] == "application/problem+json"
                assert response.json()["status"] == status
            elif path.startswith("/v2"):
                assert response.json()["error"]
            else:
                assert "<h1>" in text
    return count


# --- Errors during a request ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (databases.OperationalError(TEXT), 503),
        (databases.InterfaceError(TEXT), 503),
        (databases.DataError(TEXT), 500),
        (databases.ProgrammingError(TEXT), 500),
        (databases.InternalError(TEXT), 500),
        (LibraryError(TEXT), 500),
        (UnicodeDecodeError("utf-8", TEXT.encode(), 0, 1, TEXT), 500),
        (KeyError(TEXT), 500),
    ],
    ids=lambda value: type(value).__name__,
)
def test_error_of_the_database_is_not_shown(
    ask: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    registry.clear_cache()
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(BaseDatabaseWrapper, "cursor", raising(error))
        assert count_errors(ask(), status) == 13


@pytest.mark.parametrize(
    "target", ["predictions.use_cases.submit.submission_of", "predictions.use_cases.admission.admit"]
)
def test_error_of_submission_is_not_shown(ask: Any, monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    monkeypatch.setattr(target, raising(LibraryError(TEXT)))

    assert count_errors(ask(), 500) == 4
    assert Prediction.objects.count() == 1


@pytest.mark.parametrize(
    "error", [redis.ConnectionError(TEXT), redis.ResponseError(TEXT), OSError(2, TEXT, PATH), LibraryError(TEXT)]
)
def test_error_of_redis_does_not_fail_a_submission(
    ask: Any, client: Client, monkeypatch: pytest.MonkeyPatch, settings: Any, error: Exception
) -> None:
    """The row is stored, and the keeper executes it."""
    settings.SUBMIT_RATE = "600/minute"
    monkeypatch.setattr(redis.Redis, "execute_command", raising(error))

    assert count_errors(ask(), 500) == 0
    assert Prediction.objects.queued().count() == 4


def test_error_of_the_broker_does_not_fail_a_submission(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis.Redis, "execute_command", lambda *_, **__: 1)
    monkeypatch.setattr("celery.app.base.Celery.send_task", raising(BrokerError(TEXT)))

    assert count_errors(ask(), 500) == 0
    assert Prediction.objects.queued().count() == 4


def test_health_names_unavailable_parts_without_their_errors(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis.Redis, "execute_command", raising(redis.ConnectionError(TEXT)))
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(BaseDatabaseWrapper, "cursor", raising(databases.OperationalError(TEXT)))
        response = client.get("/healthz/ready")

    assert (response.status_code, response.json()["database"], response.json()["broker"]) == (503, "away", "away")
    check_hygiene(response.content.decode())


# --- Errors while a response is rendered ----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("target", "count"),
    [
        ("predictions.web.views.catalogue.render", 3),
        ("predictions.web.views.answers.render", 2),
        ("django.template.base.Template.render", 5),
    ],
)
def test_error_of_a_template_is_not_shown(ask: Any, monkeypatch: pytest.MonkeyPatch, target: str, count: int) -> None:
    error = TemplateSyntaxError(TEXT)
    if target.startswith("django"):  # all templates except those of the error page
        original = Template.render

        def render(template: Any, context: Any) -> Any:
            return (
                original(template, context)
                if template.name in ("500.html", "bare.html", "_mark.html")
                else raising(error)()
            )

        monkeypatch.setattr(target, render)
    else:
        monkeypatch.setattr(target, raising(error))

    assert count_errors(ask(), 500) == count


def test_error_of_the_json_encoder_is_not_shown(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that cannot be written as JSON fails only when the reply is rendered."""
    body = {"id": TEXT, "output": object(), "urls": {"self": "/"}}
    monkeypatch.setattr("predictions.api.representation.prediction", lambda *_: body)

    assert count_errors(ask(), 500) == 2


def test_json_encoder_error_with_a_value_is_not_shown(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("predictions.api.operations.json_reply", raising(TypeError(TEXT)))
    monkeypatch.setattr("predictions.api.inference_protocol.inputs.metadata", lambda _: object())

    assert count_errors(ask(), 500) >= 1


# --- Errors in a worker ---------------------------------------------------------------------------------------------
WORKER_ERRORS = [
    ("predictions.serving.engines.onnx.OnnxEngine.predict", LibraryError(TEXT), "model_error"),
    ("predictions.serving.engines.onnx.OnnxEngine.predict", Fail(TEXT), "model_error"),
    ("predictions.serving.engines.onnx.OnnxEngine.predict", FileNotFoundError(2, TEXT, PATH), "model_error"),
    ("predictions.serving.engines.onnx.open_session", Fail(TEXT), "model_unavailable"),
    ("predictions.serving.artifacts.repository.manifest", PermissionError(13, TEXT, PATH), "model_unavailable"),
    ("pathlib.Path.read_bytes", OSError(5, TEXT, PATH), "model_unavailable"),
    ("joblib.load", LibraryError(TEXT), "model_unavailable"),
    ("predictions.serving.engines.sklearn.SklearnEngine.predict", LibraryError(TEXT), "model_error"),
]


@pytest.mark.parametrize(("target", "error", "code"), WORKER_ERRORS, ids=lambda value: str(value)[:60])
def test_error_in_a_worker_is_stored_as_its_code(
    iris: ModelVersion, analyst: User, monkeypatch: pytest.MonkeyPatch, target: str, error: Exception, code: str
) -> None:
    row = make(iris)
    superuser = User.objects.create_superuser("superuser", password="secret")
    with monkeypatch.context() as meanwhile:
        if "joblib" in target or "engines.sklearn" in target:
            meanwhile.setattr(preload, "loader", preload.Loader(preload.loader._root, 10**9, use_compiled=False))
        if code == "model_error":
            preload.load(iris.pk, iris.sha256)
        meanwhile.setattr(target, raising(error))
        run_worker(iris)

    stored = Prediction.objects.values().get(pk=row.pk)
    assert (stored["state"], stored["error_code"], stored["output"]) == (State.FAILED, code, None)
    check_hygiene(json.dumps(stored, default=str), *ModelVersion.objects.values_list("unavailable_reason", flat=True))
    assert ModelVersion.objects.get(pk=iris.pk).is_available == (code == "model_error")
    registry.clear_cache()
    for user in (Client(), signed_in(analyst), signed_in(superuser)):
        page, response = user.get(f"/predictions/{row.pk}/"), user.get(f"/api/v1/predictions/{row.pk}/")
        assert response.json()["error"]["code"] == code
        check_hygiene(
            page.content.decode(), json.dumps(response.json()["error"]), user.get("/models/iris/").content.decode()
        )
    admin = signed_in(superuser)
    for address in (f"prediction/{row.pk}/change/", f"modelversion/{iris.pk}/change/", "modelversion/"):
        shown = admin.get(f"/admin/predictions/{address}")
        assert shown.status_code == 200
        check_hygiene(shown.content.decode())


def test_error_of_a_row_is_not_shown_by_the_inference_protocol(
    iris: ModelVersion, monkeypatch: pytest.MonkeyPatch, client: Client, settings: Any
) -> None:
    monkeypatch.setattr("predictions.queue.notifications.notify", lambda lane: run_worker(iris, lane))
    settings.WAIT_MAX = 0.05
    preload.load(iris.pk, iris.sha256)
    monkeypatch.setattr("predictions.serving.engines.onnx.OnnxEngine.predict", raising(LibraryError(TEXT)))

    response = client.post("/v2/models/iris/infer", json.dumps(INFER), content_type="application/json")

    assert response.status_code == 500
    assert response.json()["error"].startswith("Row 0 has no answer: The model could not give an answer")
    check_hygiene(response.content.decode())


# --- Logs -----------------------------------------------------------------------------------------------------------
def test_log_has_no_password_of_a_server(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Real connections are refused, and the log level is DEBUG."""
    caplog.set_level("DEBUG")
    address = f"redis://foretell:{SECRET}@127.0.0.1:1/0"
    unreachable = redis.Redis.from_url(address, socket_connect_timeout=1)
    monkeypatch.setattr("predictions.queue.notifications.client", lambda: unreachable)
    breaker = redis_client.Breaker()
    with Celery(broker=address, set_as_current=False) as celery:
        celery.conf.update(task_publish_retry=False, broker_connection_timeout=1)
        assert not breaker.call(unreachable.ping, "ring")
        breaker.reset()
        assert not breaker.call(lambda: celery.send_task("predictions.drain", args=["interactive"]), "publish")

    assert [record.getMessage() for record in caplog.records if "Redis failed" in record.getMessage()] != []
    assert SECRET not in caplog.text


def test_log_has_no_token(owner: User, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    _, secret = ApiToken.objects.create(user=owner, name="a token")
    for token in (secret, f"{secret}x"):
        Client().get("/api/v1/models/", headers={"Authorization": f"Bearer {token}"})
    Client().post("/accounts/login/", {"username": "owner", "password": SECRET})

    assert secret not in caplog.text
    assert SECRET not in caplog.text
