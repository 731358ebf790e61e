"""Heartbeats, logs and traces of the real processes."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from tests.support.collector import collecting
from tests.support.stack import Stack
from tests.support.waiting import wait_until


def test_worker_heartbeat_is_in_readiness_and_metrics(stack: Stack) -> None:
    stack.wait_for_end([stack.submit("iris", [5.1, 3.5, 1.4, 0.2])], 30)

    def has_heartbeat() -> bool:
        return stack.client.get("/healthz/ready").json()["worker_seconds"] is not None

    wait_until(has_heartbeat, 30, "a worker has sent a heartbeat")
    assert 'foretell_loader_bytes{process="worker:worker@' in stack.client.get("/metrics").text


def test_worker_logs_in_the_format_of_the_settings(stack: Stack) -> None:
    """By default Celery replaces the format and the level."""
    prediction_id = stack.submit("iris", [5.1, 3.5, 1.4, 0.2])
    stack.wait_for_end([prediction_id], 30)

    def is_logged() -> bool:
        log = stack["worker"].log.read_text()
        return any(line.startswith("INFO predictions.worker.drain: settled ") for line in log.splitlines())

    wait_until(is_logged, 10, "the worker has logged it")
    assert "INFO predictions.use_cases.submit: accepted " in stack["web"].log.read_text()


def test_trace_spans_web_and_worker(prepare_stack: Callable[..., AbstractContextManager[Stack]]) -> None:
    """The spans of the worker come from a pool process, in which telemetry starts after the fork."""
    with collecting() as collector:
        address = f"http://127.0.0.1:{collector.port}"
        with prepare_stack(OTEL_EXPORTER_OTLP_ENDPOINT=address, WEB_PROCESSES=1, WORKER_PROCESSES=1) as stack:
            stack.start("redis", "worker", "web")
            stack.wait_for_end([stack.submit("iris", [5.1, 3.5, 1.4, 0.2])], 30)

            def traces(service: str, name: str) -> set[bytes]:
                return {span.trace_id for origin, span in collector.spans() if (origin, span.name) == (service, name)}

            def are_joined() -> bool:
                web = traces("foretell-web", "POST /api/v1/models/iris/predictions/")
                return bool(web & traces("foretell-worker", "run/predictions.drain"))

            wait_until(are_joined, 30, "one trace has spans of both")
