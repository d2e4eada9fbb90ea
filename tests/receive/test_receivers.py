"""OTLP over real sockets, good and bad: every answer is one that a sender knows what to do with."""

from __future__ import annotations

import gzip
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
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor

from otel_mlmon import errors
from otel_mlmon.asgi import AsgiServer
from otel_mlmon.decode import decode
from otel_mlmon.receive.grpc import GrpcReceiver
from otel_mlmon.receive.http import otlp_app
from otel_mlmon.receive.ingest import Receipt
from otel_mlmon.receive.status import answer
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


BAD = {
    "not OTLP": (b"hello, is this OTLP?", {}, 400),
    "truncated protobuf": (_request()[:-3], {}, 400),
    "wrong content type": (_request(), {"Content-Type": "text/plain"}, 415),
    "no content type": (_request(), {"Content-Type": ""}, 415),
    "JSON that is none": (b"{", {"Content-Type": "application/json"}, 400),
    "JSON of another kind": (b"[]", {"Content-Type": "application/json"}, 400),
    "gzip that is none": (b"plain", {"Content-Encoding": "gzip"}, 400),
    "truncated gzip": (gzip.compress(_request())[:-9], {"Content-Encoding": "gzip"}, 400),
    "unknown encoding": (_request(), {"Content-Encoding": "br"}, 400),
    "too large": (b"x" * (LIMIT + 1), {}, 413),
    "a gzip bomb": (gzip.compress(b"\0" * 50_000_000), {"Content-Encoding": "gzip"}, 413),
}


@pytest.mark.parametrize(("body", "headers", "status"), BAD.values(), ids=BAD)
def test_bad_http_requests_get_a_permanent_answer_and_the_service_goes_on(
    peer: Peer, body: bytes, headers: dict[str, str], status: int
) -> None:
    got = _post(peer, body, **headers)
    assert got.status_code == status
    if status != 415:
        said = (
            status_pb2.Status.FromString(got.content) if "json" not in headers.get("Content-Type", "") else got.json()
        )
        assert said.message if isinstance(said, status_pb2.Status) else said["message"]
    assert _post(peer, _request()).status_code == 200


@pytest.mark.parametrize(("body", "code"), [(b"hello", "INVALID_ARGUMENT"), (_request()[:-3], "INVALID_ARGUMENT"), (b"x" * (LIMIT + 1), "RESOURCE_EXHAUSTED")])  # fmt: skip
def test_bad_grpc_requests_get_a_permanent_answer_and_the_service_goes_on(peer: Peer, body: bytes, code: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        _call(peer, body)
    assert caught.value.code().name == code
    assert not _call(peer, _request()).HasField("partial_success")


def test_other_methods_and_paths(peer: Peer) -> None:
    assert requests.get(peer.http, timeout=10).status_code == 405
    assert requests.post(peer.http.replace("logs", "profiles"), timeout=10).status_code == 404
    assert _post(peer, b"").status_code == 200, "an empty request is a good one"


@pytest.mark.parametrize(
    "fail", [errors.Overloaded("full", 2.0), errors.StoreUnavailable("disk full", 2.0), RuntimeError("a bug")]
)
def test_what_may_pass_later_is_answered_so_that_it_comes_again(peer: Peer, fail: Exception) -> None:
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


def test_rejected_records_are_a_partial_success(peer: Peer) -> None:
    peer.receipt = Receipt(3, "three have no model name")
    partial = _call(peer, _request()).partial_success
    assert (partial.rejected_log_records, partial.error_message) == (3, "three have no model name")
    assert ExportLogsServiceResponse.FromString(_post(peer, _request()).content).partial_success == partial


def test_every_error_of_ours_has_an_answer() -> None:
    table = {
        errors.RejectedInput("x"): ("rejected", 400, "INVALID_ARGUMENT"),
        errors.TooLarge("x"): ("rejected", 413, "RESOURCE_EXHAUSTED"),
        errors.Retryable("x"): ("retry", 503, "UNAVAILABLE"),
        errors.Overloaded("x"): ("retry", 503, "UNAVAILABLE"),
        errors.StoreUnavailable("x"): ("retry", 503, "UNAVAILABLE"),
        errors.EvaluationError("x"): ("retry", 503, "UNAVAILABLE"),
    }
    for error, expected in table.items():
        found = answer(error)
        assert (found.outcome, found.http, found.grpc.name) == expected, error


def test_a_taken_port_is_a_clear_error(peer: Peer) -> None:
    port = int(peer.http.split(":")[2].split("/")[0])
    with pytest.raises(errors.ConfigError, match=f"127.0.0.1:{port}"):
        AsgiServer(otlp_app(peer), "127.0.0.1", port).start()
    with pytest.raises(errors.ConfigError, match="taken"):
        GrpcReceiver(peer, "127.0.0.1", int(peer.grpc.split(":")[1])).start()
