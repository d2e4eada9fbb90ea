"""Loopback servers that receive exports and answer with a given status."""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from otel_mlmon.server.asgi import AsgiServer


@dataclass
class Receiver:
    """`answers` are used up one per request (status, or status and headers), then comes 200; `hold` keeps requests."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    content: bytes = b""
    hold: threading.Event = field(default_factory=threading.Event)

    def json(self) -> list[Any]:
        return [json.loads(body) for body in self.bodies]


@contextlib.contextmanager
def receiver(port: int = 0, answers: list[Any] | None = None) -> Iterator[Receiver]:
    """A server for the length of the block."""
    got = Receiver(answers=answers or [])
    got.hold.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.hold.wait(10)
            status, headers = got.answers.pop(0) if got.answers else 200, {}
            if isinstance(status, tuple):
                status, headers = status
            if status == 200:
                got.bodies.append(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
            got.paths.append(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(got.content)))
            self.end_headers()
            self.wfile.write(got.content)

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    got.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield got
    finally:
        got.hold.set()
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def serving(app: Any) -> Iterator[int]:
    """The port of an ASGI app for the length of the block."""
    server = AsgiServer(app, "127.0.0.1", 0)
    port = server.start()
    try:
        yield port
    finally:
        server.stop()


def until(done: Callable[[], Any], deadline_s: float = 15.0) -> Any:
    """Wait for something to become true."""
    end = time.monotonic() + deadline_s
    while not (found := done()):
        assert time.monotonic() < end, "not in time"
        time.sleep(0.01)
    return found
