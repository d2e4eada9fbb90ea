"""OTLP over real sockets, good and bad: every response tells a sender how to go on."""

from __future__ import annotations

import gzip
import inspect
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
import requests
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from otel_mlmon import errors
from otel_mlmon.ingest.decode import decode
from otel_mlmon.ingest.receive.grpc import GrpcReceiver
from otel_mlmon.ingest.receive.http import otlp_app
from otel_mlmon.ingest.receive.receipt import Receipt
from otel_mlmon.ingest.receive.responses import error_response
from otel_mlmon.server.asgi import AsgiServer
from otel_mlmon.values import Decoded

LIMIT = 100_000
EXPORT = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"


@dataclass
class Peer:
    """Both receivers over one ingest that decodes and remembers; `fail` is raised instead."""

    http: str = ""
    grpc: str = ""
    fail: Exception | None = None
    receipt: Receipt = field(default_factory=Receipt)
    decoded: list[Decoded] = field(default_factory=list)
    outcomes: list[tuple[str, str, str]] = field(default_factory=list)

    def __call__(self, signal: Any, body: bytes, encoding: Any) -> Receipt:
        self.decoded.append(decode(signal, body, encoding, received_ns=1))
        if self.fail:
            raise self.fail
        return self.receipt

    def observe(self, *outcome: str) -> None:
        self.outcomes.append(outcome)  # type: ignore[arg-type]


@pytest.fixture
def peer() -> Iterator[Peer]:
    found = Peer()
    http = AsgiServer(otlp_app(found, max_body_bytes=LIMIT, observe=found.observe), "127.0.0.1", 0)
    rpc = GrpcReceiver(found, "127.0.0.1", 0, max_body_bytes=LIMIT, observe=found.observe)
    found.http = f"http://127.0.0.1:{http.start()}/v1/logs"
    found.grpc = f"127.0.0.1:{rpc.start()}"
    yield found
    rpc.stop(1)
    http.stop()


def _request() -> bytes:
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add()
    record.event_name = "mlmon.prediction"
    for key, value in (("mlmon.model.name", "m"), ("mlmon.prediction.id", "p1")):
        pair = record.attributes.add(key=key)
        pair.value.string_value = value
    return request.SerializeToString()


def _post(peer: Peer, body: bytes, **headers: str) -> requests.Response:
    return requests.post(
        peer.http, data=body, headers={"Content-Type": "application/x-protobuf", **headers}, timeout=10
    )


def _call(peer: Peer, body: bytes, compression: Any = None) -> ExportLogsServiceResponse:
    with grpc.insecure_channel(peer.grpc) as channel:
        answered = channel.unary_unary(EXPORT)(body, timeout=10, compression=compression)
    return ExportLogsServiceResponse.FromString(answered)


@pytest.mark.parametrize("exporter", ["grpc", "grpc gzip", "http", "http gzip"])
def test_the_exporters_of_opentelemetry_are_understood(peer: Peer, exporter: str) -> None:
    zipped = "gzip" in exporter
    made: Any = (
        GrpcExporter(endpoint=peer.grpc, insecure=True, compression=grpc.Compression.Gzip if zipped else None)
        if exporter.startswith("grpc")
        else HttpExporter(endpoint=peer.http, compression=Compression.Gzip if zipped else None)
    )
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(made))
    attributes = {"mlmon.model.name": "m", "mlmon.prediction.id": "p1", "mlmon.features": {"a": 1, "b": None}}
    provider.get_logger("test").emit(event_name="mlmon.prediction", attributes=attributes)
    provider.shutdown()
    (batch,) = peer.decoded[0].batches
    assert batch.ids.to_pylist() == ["p1"]
    assert peer.outcomes == [(exporter[:4], "logs", "ok")]


def test_spans_are_understood_and_metrics_are_taken_and_left_alone(peer: Peer) -> None:
    tracing = TracerProvider(shutdown_on_exit=False)
    tracing.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=peer.http.replace("logs", "traces"))))
    with tracing.get_tracer("test").start_as_current_span("predict m") as span:
        span.set_attributes({"mlmon.model.name": "m", "mlmon.prediction.id": "p1", "mlmon.feature.a": 1})
    tracing.shutdown()
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=peer.http.replace("logs", "metrics")))
    metering = MeterProvider([reader], shutdown_on_exit=False)
    metering.get_meter("test").create_counter("c").add(1)
    metering.shutdown()
    assert [batch.ids.to_pylist() for found in peer.decoded for batch in found.batches] == [["p1"]]
    assert peer.outcomes == [("http", "traces", "ok"), ("http", "metrics", "ok")]


def test_json_is_answered_in_json(peer: Peer) -> None:
    peer.receipt = Receipt(2, "two have no model name")
    got = _post(peer, b'{"resourceLogs": []}', **{"Content-Type": "application/json; charset=utf-8"})
    assert (got.status_code, got.headers["Content-Type"]) == (200, "application/json")
    assert got.json() == {"partialSuccess": {"rejectedLogRecords": "2", "errorMessage": "two have no model name"}}


def test_a_gzip_body_may_be_several_streams(peer: Peer) -> None:
    request = _request()
    body = gzip.compress(request[:20]) + gzip.compress(b"") + gzip.compress(request[20:])
    assert _post(peer, body, **{"Content-Encoding": "gzip"}).status_code == 200
    assert len(peer.decoded[0].batches) == 1


BAD = {
    "not OTLP": (b"hello, is this OTLP?", {}, 400),
    "truncated protobuf": (_request()[:-3], {}, 400),
    "wrong content type": (_request(), {"Content-Type": "text/plain"}, 415),
    "no content type": (_request(), {"Content-Type": ""}, 415),
    "JSON that is none": (b"{", {"Content-Type": "application/json"}, 400),
    "JSON of another kind": (b"[]", {"Content-Type": "application/json"}, 400),
    "gzip that is none": (b"plain", {"Content-Encoding": "gzip"}, 400),
    "truncated gzip": (gzip.compress(_request())[:-9], {"Content-Encoding": "gzip"}, 400),
    "gzip that ends within its header": (gzip.compress(_request())[:3], {"Content-Encoding": "gzip"}, 400),
    "gzip with something behind it": (gzip.compress(_request()) + b"more", {"Content-Encoding": "gzip"}, 400),
    "unknown encoding": (_request(), {"Content-Encoding": "br"}, 400),
    "too large": (b"x" * (LIMIT + 1), {}, 413),
    "a gzip bomb": (gzip.compress(b"\0" * 50_000_000), {"Content-Encoding": "gzip"}, 413),
}


def _said(got: requests.Response) -> str:
    """Return the message of the `google.rpc.Status` in the body of a refusal."""
    if got.headers["Content-Type"] == "application/json":
        return str(got.json()["message"])
    assert got.headers["Content-Type"] == "application/x-protobuf"
    return str(status_pb2.Status.FromString(got.content).message)


@pytest.mark.parametrize(("body", "headers", "status"), BAD.values(), ids=BAD)
def test_bad_http_requests_get_a_permanent_answer_and_the_service_goes_on(
    peer: Peer, body: bytes, headers: dict[str, str], status: int
) -> None:
    got = _post(peer, body, **headers)
    assert got.status_code == status
    assert _said(got)
    assert peer.outcomes == [("http", "logs", "rejected")]
    assert _post(peer, _request()).status_code == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"hello", "INVALID_ARGUMENT"), (_request()[:-3], "INVALID_ARGUMENT"), (b"x" * (LIMIT + 1), "RESOURCE_EXHAUSTED")],
)
def test_bad_grpc_requests_get_a_permanent_answer_and_the_service_goes_on(peer: Peer, body: bytes, code: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        _call(peer, body)
    assert caught.value.code().name == code
    assert not _call(peer, _request()).HasField("partial_success")


def test_other_methods_and_paths(peer: Peer) -> None:
    get = requests.get(peer.http, timeout=10)
    assert (get.status_code, get.headers["Allow"]) == (405, "POST")
    assert "allowed are POST /v1/logs" in _said(get)
    profiles = requests.post(peer.http.replace("logs", "profiles"), json={}, timeout=10)
    assert (profiles.status_code, profiles.headers["Content-Type"]) == (404, "application/json")
    assert "/v1/profiles" in _said(profiles)
    assert peer.outcomes == [("http", "logs", "rejected")]
    assert _post(peer, b"").status_code == 200, "an empty request is a good one"


@pytest.mark.parametrize(
    "fail", [errors.Overloaded("full", 2.0), errors.StoreUnavailable("disk full", 2.0), RuntimeError("a bug")]
)
def test_temporary_failure_gets_a_retryable_response(peer: Peer, fail: Exception) -> None:
    peer.fail = fail
    got = _post(peer, _request())
    assert got.status_code == 503
    assert int(got.headers["Retry-After"]) >= 1
    with pytest.raises(grpc.RpcError) as caught:
        _call(peer, _request(), grpc.Compression.Gzip)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    trailing = dict(caught.value.trailing_metadata())
    assert error_details_pb2.RetryInfo.FromString(trailing["google.rpc.retryinfo-bin"]).retry_delay.seconds >= 1
    details = status_pb2.Status.FromString(trailing["grpc-status-details-bin"]).details
    assert details[0].Is(error_details_pb2.RetryInfo.DESCRIPTOR)
    assert {outcome for _, _, outcome in peer.outcomes} == {"retry"}


@pytest.mark.parametrize("message", ["column 'x', " * 5000, "ü" * 20_000, "half a pair: \ud800"])
def test_long_and_odd_messages_fit_into_the_response(peer: Peer, message: str) -> None:
    peer.fail = errors.StoreUnavailable(message)
    with pytest.raises(grpc.RpcError) as caught:
        _call(peer, _request())
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "google.rpc.retryinfo-bin" in dict(caught.value.trailing_metadata())
    assert _post(peer, _request()).status_code == 503
    peer.fail, peer.receipt = None, Receipt(1, message)
    assert _call(peer, _request()).partial_success.rejected_log_records == 1


def test_a_gzip_bomb_over_grpc_is_refused_for_good(peer: Peer) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        _call(peer, b"\0" * 50_000_000, grpc.Compression.Gzip)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "google.rpc.retryinfo-bin" not in dict(caught.value.trailing_metadata())


def test_rejected_records_are_a_partial_success(peer: Peer) -> None:
    peer.receipt = Receipt(3, "three have no model name")
    partial = _call(peer, _request()).partial_success
    assert (partial.rejected_log_records, partial.error_message) == (3, "three have no model name")
    assert ExportLogsServiceResponse.FromString(_post(peer, _request()).content).partial_success == partial


ANSWERS = {
    errors.RejectedInput: ("rejected", 400, "INVALID_ARGUMENT"),
    errors.TooLarge: ("rejected", 413, "RESOURCE_EXHAUSTED"),
    # Other errors may pass later: after an unexpected error, data is sent again and not lost.
    errors.Retryable: ("retry", 503, "UNAVAILABLE"),
    errors.Overloaded: ("retry", 503, "UNAVAILABLE"),
    errors.StoreUnavailable: ("retry", 503, "UNAVAILABLE"),
    errors.MlmonError: ("retry", 503, "UNAVAILABLE"),
    errors.ConfigError: ("retry", 503, "UNAVAILABLE"),
    errors.RuleFileError: ("retry", 503, "UNAVAILABLE"),
    errors.BadReference: ("retry", 503, "UNAVAILABLE"),
    errors.EvaluationError: ("retry", 503, "UNAVAILABLE"),
}


def test_every_error_class_has_a_response() -> None:
    ours = {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)}
    assert set(ANSWERS) == ours
    for kind, expected in ANSWERS.items():
        found = error_response(kind([]) if kind is errors.RuleFileError else kind("x"))
        assert (found.outcome, found.http, found.grpc.name) == expected, kind


def test_a_taken_port_is_a_clear_error(peer: Peer) -> None:
    port = int(peer.http.split(":")[2].split("/")[0])
    with pytest.raises(errors.ConfigError, match=f"127.0.0.1:{port}"):
        AsgiServer(otlp_app(peer), "127.0.0.1", port).start()
    with pytest.raises(errors.ConfigError, match="taken"):
        GrpcReceiver(peer, "127.0.0.1", int(peer.grpc.split(":")[1])).start()


def test_both_listen_on_ipv6(peer: Peer) -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    http, rpc = AsgiServer(otlp_app(peer), "::1", 0), GrpcReceiver(peer, "::1", 0)
    peer.http, peer.grpc = f"http://[::1]:{http.start()}/v1/logs", f"[::1]:{rpc.start()}"
    try:
        assert _post(peer, _request()).status_code == 200
        assert not _call(peer, _request()).HasField("partial_success")
    finally:
        rpc.stop(1)
        http.stop()
