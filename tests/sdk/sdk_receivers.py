"""Receivers for the tests of the SDK: a LoggerProvider that keeps its records, an OTLP/HTTP server on loopback."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Callable
from typing import Any

import pyarrow as pa
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

from otel_mlmon.wire import semconv


def read_batch(body: bytes) -> list[dict[str, Any]]:
    return pa.ipc.open_stream(body).read_all().to_pylist()


class Emitted:
    """The records of the in-memory exporter."""

    def __init__(self) -> None:
        self._exporter = InMemoryLogRecordExporter()
        self.provider = LoggerProvider(shutdown_on_exit=False)
        self.provider.add_log_record_processor(SimpleLogRecordProcessor(self._exporter))

    def events(self, name: str = semconv.EVENT_PREDICTION_BATCH) -> list[Any]:
        records = [each.log_record for each in self._exporter.get_finished_logs()]
        return [record for record in records if record.event_name == name]

    def tables(self, name: str = semconv.EVENT_PREDICTION_BATCH) -> list[pa.Table]:
        return [pa.ipc.open_stream(event.body).read_all() for event in self.events(name)]

    def rows(self, name: str = semconv.EVENT_PREDICTION_BATCH) -> list[dict[str, Any]]:
        return [row for event in self.events(name) for row in read_batch(event.body)]


class OtlpServer:
    """Accept OTLP/HTTP log requests; respond with `status`; note the size and the content of each request."""

    def __init__(self) -> None:
        self.status = 200
        self.attempts = 0
        self.sizes: list[int] = []
        self.requests: list[ExportLogsServiceRequest] = []
        self.other_paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path == "/v1/logs":
                    outer.take(body, dict(self.headers))
                else:
                    outer.other_paths.append(self.path)
                answer = ExportLogsServiceResponse().SerializeToString()
                self.send_response(outer.status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None: ...

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def take(self, body: bytes, headers: dict[str, str]) -> None:
        self.attempts += 1
        if self.status == 200:
            self.sizes.append(len(body))
            self.headers.append({key.lower(): value for key, value in headers.items()})
            self.requests.append(ExportLogsServiceRequest.FromString(body))

    def records(self) -> list[Any]:
        return [
            record
            for request in list(self.requests)
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    def rows(self, event: str = semconv.EVENT_PREDICTION_BATCH) -> list[dict[str, Any]]:
        batches = [record.body.bytes_value for record in self.records() if record.event_name == event]
        return [row for body in batches for row in read_batch(body)]

    def wait_for_rows(self, number: int, event: str = semconv.EVENT_PREDICTION_BATCH) -> list[dict[str, Any]]:
        wait_until(lambda: len(self.rows(event)) >= number)
        return self.rows(event)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def wait_until(condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain")
        threading.Event().wait(0.02)
