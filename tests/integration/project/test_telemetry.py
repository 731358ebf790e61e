"""Telemetry is off unless its address is set, and it never contains inputs."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from project.env import BASE_DIR
from tests.support.collector import Collector, collecting

PACKAGES = {"sentry_sdk", "opentelemetry.exporter", "opentelemetry.instrumentation"}

# Requests, one of them with a 500. Inputs are in its body, query, header, local variable and error text.
SEND_REQUESTS = """
import json, sys
from project import telemetry
from project.celery import app
from project.asgi import application
from tests.support.door import open_door

def fail(request, *args, **kwargs):
    text = request.body.decode()
    raise RuntimeError(text)

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


def imported_after_requests(folder: Path, **variables: str) -> set[str]:
    """The telemetry packages that a web process has imported after two requests.

    redis-py imports OpenTelemetry's metrics itself, so these are not counted.
    """
    env = {**os.environ, "VAR_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "project.settings", **variables}
    done = subprocess.run([sys.executable, "-c", SEND_REQUESTS], cwd=BASE_DIR, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answers, modules = json.loads(done.stdout)
    assert answers == [200, 500]
    return {name for name in PACKAGES if name in modules}


def test_telemetry_without_an_address_imports_nothing(tmp_path: Path) -> None:
    assert imported_after_requests(tmp_path) == set()


def test_sentry_event_has_no_inputs(tmp_path: Path, collector: Collector) -> None:
    imported = imported_after_requests(tmp_path, SENTRY_DSN=f"http://key@127.0.0.1:{collector.port}/1")

    assert imported == {"sentry_sdk"}
    (event,) = collector.events()
    (error,) = event["exception"]["values"]
    assert (error["type"], error["stacktrace"]["frames"][-1]["function"]) == ("RuntimeError", "fail")
    assert event["request"].keys() <= {"method", "url"}
    assert event["tags"]["process"] == "web"
    assert [body for _, body in collector.bodies if b"input-of-" in body] == []


def test_trace_of_requests_has_no_inputs(tmp_path: Path, collector: Collector) -> None:
    imported = imported_after_requests(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.port}/")

    assert imported == PACKAGES - {"sentry_sdk"}
    spans = collector.spans()
    assert {service for service, _ in spans} == {"foretell-web"}
    assert sorted(span.name for _, span in spans) == ["GET /healthz/live", "POST /fails"]
    assert [body for _, body in collector.bodies if b"input-of-" in body] == []


def test_service_name_of_traces_can_be_set(tmp_path: Path, collector: Collector) -> None:
    imported_after_requests(
        tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.port}", OTEL_SERVICE_NAME="fortune"
    )

    assert {service for service, _ in collector.spans()} == {"fortune"}
