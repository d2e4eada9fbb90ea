"""OTLP/gRPC. Handlers get raw bytes, so that what cannot be parsed is the sender's error and not ours."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import grpc

from otel_mlmon.errors import ConfigError
from otel_mlmon.ingest.receive.receipt import Ingest, Observe, Signal, ignore
from otel_mlmon.ingest.receive.responses import response, serialised
from otel_mlmon.ingest.receive.status import answer

_SERVICES: Final[dict[Signal, str]] = {
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
}
_WORKERS = 16


class GrpcReceiver:
    """One server for the three signals."""

    def __init__(
        self, ingest: Ingest, host: str, port: int, *, max_body_bytes: int = 64 * 1024 * 1024, observe: Observe = ignore
    ) -> None:
        """Nothing is bound before `start`."""
        self._address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._server = grpc.server(
            ThreadPoolExecutor(_WORKERS, thread_name_prefix="mlmon-grpc"),
            options=[
                ("grpc.max_receive_message_length", max_body_bytes),
                ("grpc.so_reuseport", 0),  # a taken port is an error, not a port to share
            ],
        )
        self._server.add_generic_rpc_handlers(
            tuple(_service(signal, name, _handler(signal, ingest, observe)) for signal, name in _SERVICES.items())
        )

    def start(self) -> int:
        """Bind and serve; returns the port. Raises ConfigError when the address cannot be had."""
        try:
            port = self._server.add_insecure_port(self._address)
        except RuntimeError as error:
            raise ConfigError(f"cannot listen on {self._address} for OTLP/gRPC; is it taken?") from error
        self._server.start()
        return int(port)

    def stop(self, grace_s: float = 5.0) -> None:
        """Take nothing new and let what is under way end; safe to call twice."""
        self._server.stop(grace_s).wait()


Handler = Callable[[bytes, grpc.ServicerContext], bytes]


def _service(signal: Signal, name: str, handler: Handler) -> grpc.GenericRpcHandler:
    return grpc.method_handlers_generic_handler(name, {"Export": grpc.unary_unary_rpc_method_handler(handler)})


def _handler(signal: Signal, ingest: Ingest, observe: Observe) -> Handler:
    def export(body: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            receipt = ingest(signal, body, "protobuf")
            content = serialised(response(signal, receipt), "protobuf")
        except Exception as error:  # whatever it is: an exception that escapes is UNKNOWN, and the data is lost
            found = answer(error)
            observe("grpc", signal, found.outcome)
            trailing = [("grpc-status-details-bin", found.status.SerializeToString())]
            if found.retry_after_s is not None:
                trailing.append(("google.rpc.retryinfo-bin", found.retry_info))
            context.set_trailing_metadata(tuple(trailing))
            context.abort(found.grpc, found.status.message)
            raise AssertionError("abort raises") from error
        observe("grpc", signal, "partial" if receipt.rejected else "ok")
        return content

    return export
