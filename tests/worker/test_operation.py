"""What the running processes tell of themselves."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from tests.support.collector import collecting
from tests.support.stack import Stack
from tests.support.waiting import wait_until


def test_worker_gives_signs_of_life_which_readiness_and_metrics_tell(stack: Stack) -> None:
    stack.wait_for_end([stack.submit("iris", [5.1, 3.5, 1.4, 0.2])], 30)

    def beats() -> bool:
        return stack.client.get("/healthz/ready").json()["worker_seconds"] is not None

    wait_until(beats, 30, "a worker has beaten")
    assert 'foretell_loader_bytes{process="worker:worker@' in stack.client.get("/metrics").text


def test_worker_logs_in_the_words_of_the_product(stack: Stack) -> None:
    """Celery would put its own format and its own level in their place."""
    prediction_id = stack.submit("iris", [5.1, 3.5, 1.4, 0.2])
    stack.wait_for_end([prediction_id], 30)

    def told() -> bool:
        log = stack["worker"].log.read_text()
        return any(line.startswith("INFO predictions.worker.drain: settled ") for line in log.splitlines())

    wait_until(told, 10, "the worker has said so")
    assert "INFO predictions.use_cases.submit: accepted " in stack["web"].log.read_text()


def test_trace_leads_from_the_web_to_the_worker(prepare_stack: Callable[..., AbstractContextManager[Stack]]) -> None:
    """The worker's spans come from a child of its pool, in which the tracing was started after the fork."""
    with collecting() as collector:
        address = f"http://127.0.0.1:{collector.port}"
        with prepare_stack(OTEL_EXPORTER_OTLP_ENDPOINT=address, WEB_PROCESSES=1, WORKER_PROCESSES=1) as stack:
            stack.start("redis", "worker", "web")
            stack.wait_for_end([stack.submit("iris", [5.1, 3.5, 1.4, 0.2])], 30)

            def traces(service: str, name: str) -> set[bytes]:
                return {span.trace_id for found, span in collector.spans() if (found, span.name) == (service, name)}

            def joined() -> bool:
                asked = traces("foretell-web", "POST api/v1/models/<slug:name>/predictions/")
                return bool(asked & traces("foretell-worker", "run/predictions.drain"))

            wait_until(joined, 30, "one trace has spans of both")
