"""A Starlette app served by uvicorn in a thread of its own."""

from __future__ import annotations

import socket
import threading

import uvicorn
from starlette.types import ASGIApp

from otel_mlmon.errors import ConfigError


class AsgiServer:
    """One app on one address."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        """Bind nothing before `start`."""
        self._host = host
        self._port = port
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=5)
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    def start(self) -> int:
        """Bind, serve, and return the port. Raises ConfigError when the address is taken or not ours."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self._host, self._port))
        except OSError as error:
            listener.close()
            raise ConfigError(f"cannot listen on {self._host}:{self._port}: {error.strerror}") from error
        listener.listen(128)
        port = int(listener.getsockname()[1])
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name=f"mlmon-http-{port}", daemon=True
        )
        self._thread.start()
        return port

    def stop(self) -> None:
        """Finish running requests and stop; safe to call twice."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(10.0)
