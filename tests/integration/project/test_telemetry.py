"""Errors and traces leave a process only where the environment says so, and no input goes with them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from project.env import BASE_DIR
from tests.support.collector import Collector, collecting

OURS = {"sentry_sdk", "opentelemetry.exporter", "opentelemetry.instrumentation"}

# A request that ends in an error of ours; each input is in the body, the query, a local variable and the error's text.
ASK = """
import json, sys
from project import telemetry
from project.celery import app
from project.asgi import application
from tests.support.door import open_door

def fail(request, *args, **kwargs):
    asked = request.body.decode()
    raise RuntimeError(asked)

import project.urls
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
project.urls.urlpatterns.insert(0, path("fails", csrf_exempt(fail)))
with open_door(application) as door:
    failing = "POST", "/fails?age=input-of-query", b"age=input-of-body"
    answers = [
        door.ask("GET", "/healthz/live").status_code,
        door.ask(*failing, Authorization="Bearer input-of-header", Content_Type="text/plain").status_code,
    ]
telemetry.stop()
print(json.dumps([answers, sorted(sys.modules)]))
"""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


def ask(folder: Path, **variables: str) -> set[str]:
    """What a web process has imported of Sentry and OpenTelemetry after two requests.

    redis-py looks for OpenTelemetry's metrics by itself; they do nothing.
    """
    env = {**os.environ, "VAR_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "project.settings", **variables}
    done = subprocess.run([sys.executable, "-c", ASK], cwd=BASE_DIR, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answers, modules = json.loads(done.stdout)
    assert answers == [200, 500]
    return {name for name in OURS if name in modules}


def test_without_an_address_nothing_is_imported(tmp_path: Path) -> None:
    assert ask(tmp_path) == set()


def test_error_is_reported_without_what_was_asked(tmp_path: Path, collector: Collector) -> None:
    imported = ask(tmp_path, SENTRY_DSN=f"http://key@127.0.0.1:{collector.port}/1")

    assert imported == {"sentry_sdk"}
    (event,) = collector.events()
    (error,) = event["exception"]["values"]
    assert (error["type"], error["stacktrace"]["frames"][-1]["function"]) == ("RuntimeError", "fail")
    assert event["request"].keys() <= {"method", "url"}
    assert event["tags"]["process"] == "web"
    assert [body for _, body in collector.bodies if b"input-of-" in body] == []


def test_trace_of_a_request_arrives(tmp_path: Path, collector: Collector) -> None:
    imported = ask(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.port}/")

    assert imported == OURS - {"sentry_sdk"}
    spans = collector.spans()
    assert {service for service, _ in spans} == {"foretell-web"}
    assert sorted(span.name for _, span in spans) == ["GET /healthz/live", "POST /fails"]
    assert [body for _, body in collector.bodies if b"input-of-" in body] == []


def test_name_of_the_service_may_be_given(tmp_path: Path, collector: Collector) -> None:
    ask(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.port}", OTEL_SERVICE_NAME="fortune")

    assert {service for service, _ in collector.spans()} == {"fortune"}
