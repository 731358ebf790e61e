"""Sends errors to Sentry and traces to an OpenTelemetry collector, each only if the environment names its address.

The packages of a service without an address are not imported. Both use threads, which do not survive a fork, so each
process starts them for itself.
"""

import os
import re
from typing import TYPE_CHECKING, Any

from django.conf import settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExportResult
    from sentry_sdk.types import Event, Hint


UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def start(process: str) -> None:
    """Start both for this process, but not for processes that it forks. `process` is its name in traces and reports."""
    if settings.ENV.sentry_dsn:
        _report_errors(settings.ENV.sentry_dsn, process)
    if settings.ENV.otel_exporter_otlp_endpoint:
        _trace(settings.ENV.otel_exporter_otlp_endpoint, process)


def traced(application: Any) -> Any:
    """The ASGI application, with a span for each request if traces are collected."""
    if not settings.ENV.otel_exporter_otlp_endpoint:
        return application
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware  # noqa: PLC0415

    return OpenTelemetryMiddleware(application, default_span_details=_span_details, exclude_spans=["receive", "send"])


def _span_details(scope: Any) -> tuple[str, dict[str, Any]]:
    """Name and attributes of a request's span. The name has no ids, because requests of one kind must share a name."""
    name, attributes = f"{scope['method']} {UUID.sub('<id>', scope['path'])}", {"http.request.method": scope["method"]}
    return name, attributes


def stop() -> None:
    """Send the remaining data. A child of Celery's pool ends without Python's exit handlers, which would do that."""
    if settings.ENV.sentry_dsn:
        import sentry_sdk  # noqa: PLC0415

        sentry_sdk.flush(timeout=2)
    if settings.ENV.otel_exporter_otlp_endpoint:
        from opentelemetry import trace  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415

        if isinstance(provider := trace.get_tracer_provider(), TracerProvider):
            provider.shutdown()


def _report_errors(dsn: str, process: str) -> None:
    import sentry_sdk  # noqa: PLC0415
    from sentry_sdk.integrations.celery import CeleryIntegration  # noqa: PLC0415
    from sentry_sdk.integrations.django import DjangoIntegration  # noqa: PLC0415

    sentry_sdk.init(
        dsn=dsn,
        send_default_pii=False,
        max_request_body_size="never",
        include_local_variables=False,
        auto_enabling_integrations=False,
        integrations=[DjangoIntegration(), CeleryIntegration()],
        before_send=without_inputs,
    )
    sentry_sdk.set_tag("process", process)


def without_inputs(event: "Event", hint: "Hint") -> "Event":
    """Remove all parts of an event that may quote inputs, such as the texts of exceptions, the query and the body. The
    stack traces and the types of exceptions remain."""
    for error in event.get("exception", {}).get("values", []):
        error["value"] = ""
    if request := event.get("request"):
        event["request"] = {part: request[part] for part in ("method", "url") if part in request}
    event.pop("extra", None)
    event.pop("breadcrumbs", None)
    return event


def _bare(span: "ReadableSpan") -> "ReadableSpan":
    """A copy of a span without the texts of exceptions and without queries, which may quote inputs."""
    from opentelemetry.sdk.trace import Event, ReadableSpan  # noqa: PLC0415
    from opentelemetry.trace import Status  # noqa: PLC0415

    kept = {name: value for name, value in (span.attributes or {}).items() if name != "url.query"}
    return ReadableSpan(
        span.name,
        span.context,
        span.parent,
        span.resource,
        {name: value.partition("?")[0] if isinstance(value, str) else value for name, value in kept.items()},
        [
            Event(event.name, {"exception.type": (event.attributes or {}).get("exception.type", "")}, event.timestamp)
            for event in span.events
        ],
        span.links,
        span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _trace(endpoint: str, process: str) -> None:
    from opentelemetry import trace  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.instrumentation.celery import CeleryInstrumentor  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    class Exporter(OTLPSpanExporter):
        def export(self, spans: "Sequence[ReadableSpan]") -> "SpanExportResult":
            return super().export([_bare(span) for span in spans])

    name = os.environ.get("OTEL_SERVICE_NAME") or f"foretell-{process}"
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(Exporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")))
    trace.set_tracer_provider(provider)
    CeleryInstrumentor().instrument()  # type: ignore[no-untyped-call]
