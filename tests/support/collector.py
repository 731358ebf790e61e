"""A server that records all POST requests, as a substitute for Sentry or an OpenTelemetry collector."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import brotli
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

UNPACK = {"gzip": gzip.decompress, "br": brotli.decompress}


class Collector:
    def __init__(self, port: int) -> None:
        self.port = port
        self.bodies: list[tuple[str, bytes]] = []

    def spans(self) -> list[tuple[str, Span]]:
        """The received spans, each with the name of its service."""
        found = []
        for path, body in self.bodies:
            if path == "/v1/traces":
                for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                    names = {a.key: a.value.string_value for a in group.resource.attributes}
                    found += [(names["service.name"], span) for scope in group.scope_spans for span in scope.spans]
        return found

    def events(self) -> list[dict[str, Any]]:
        """The received events of Sentry. Format: https://develop.sentry.dev/sdk/data-model/envelopes/."""
        found = []
        for path, body in self.bodies:
            if path.endswith("/envelope/"):
                lines = [json.loads(line) for line in body.splitlines()]
                pairs = zip(lines[1::2], lines[2::2], strict=True)
                found += [payload for header, payload in pairs if header["type"] == "event"]
        return found


@contextmanager
def collecting() -> Iterator[Collector]:
    """A running collector."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            unpack = UNPACK.get(self.headers.get("Content-Encoding", ""), bytes)
            collector.bodies.append((self.path, unpack(body)))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()
