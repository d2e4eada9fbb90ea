"""OTLP/gRPC. Handlers take raw bytes, so that a request that cannot be parsed is reported as the sender's error."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import grpc

from otel_mlmon.errors import ConfigError
from otel_mlmon.ingest.receive.receipt import Ingest, Observe, Signal, ignore
from otel_mlmon.ingest.receive.responses import error_response, response, serialised

_SERVICES: Final[dict[Signal, str]] = {
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
}
_WORKERS = 16


class GrpcReceiver:
    """A server for the three signals."""

    def __init__(
        self, ingest: Ingest, host: str, port: int, *, max_body_bytes: int = 64 * 1024 * 1024, observe: Observe = ignore
    ) -> None:
        """Prepare the server; `start` binds the port."""
        self._address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._server = grpc.server(
            ThreadPoolExecutor(_WORKERS, thread_name_prefix="mlmon-grpc"),
            options=[
                ("grpc.max_receive_message_length", max_body_bytes),
                ("grpc.so_reuseport", 0),  # a taken port is an error, not a port to share
            ],
        )
        self._server.add_generic_rpc_handlers(
            tuple(_service(name, _handler(signal, ingest, observe)) for signal, name in _SERVICES.items())
        )

    def start(self) -> int:
        """Bind and serve. Return the port. Raises ConfigError if the address cannot be bound."""
        try:
            port = self._server.add_insecure_port(self._address)
        except RuntimeError as error:
            raise ConfigError(f"cannot listen on {self._address} for OTLP/gRPC; is it taken?") from error
        self._server.start()
        return int(port)

    def stop(self, grace_s: float = 5.0) -> None:
        """Refuse new requests and let running ones end; safe to call twice."""
        self._server.stop(grace_s).wait()


Handler = Callable[[bytes, grpc.ServicerContext], bytes]


def _service(name: str, handler: Handler) -> grpc.GenericRpcHandler:
    return grpc.method_handlers_generic_handler(name, {"Export": grpc.unary_unary_rpc_method_handler(handler)})


def _handler(signal: Signal, ingest: Ingest, observe: Observe) -> Handler:
    def export(body: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            receipt = ingest(signal, body, "protobuf")
            content = serialised(response(signal, receipt), "protobuf")
        except Exception as error:  # gRPC would report it as UNKNOWN, and the sender would drop the data
            refusal = error_response(error)
            observe("grpc", signal, refusal.outcome)
            trailing = [("grpc-status-details-bin", refusal.status.SerializeToString())]
            if refusal.retry_after_s is not None:
                trailing.append(("google.rpc.retryinfo-bin", refusal.retry_info))
            context.set_trailing_metadata(tuple(trailing))
            context.abort(refusal.grpc, refusal.status.message)
            raise AssertionError("abort raises") from error
        observe("grpc", signal, "partial" if receipt.rejected else "ok")
        return content

    return export
