"""HTTP sessions for the OTLP exporters: they survive a fork and note the server's last response."""

from __future__ import annotations

import netrc  # noqa: F401 - requests imports it at its first request; see _renew
import os
import threading
import weakref
from typing import Any, Final

import requests
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar

_sessions: Final[weakref.WeakSet[requests.Session]] = weakref.WeakSet()


class Answer(threading.local):
    """The last response on this thread. `status`: None without a response. `rejected`: records refused for good."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget the last response; called before a request."""
        self.status: int | None = None
        self.rejected = 0
        self.message = ""


def new_session(answer: Answer | None = None) -> requests.Session:
    """Make a session that notes its responses in `answer`; the exporters themselves do not show them."""
    session = requests.Session()
    if answer is not None:

        def note(response: requests.Response, *_: Any, **__: Any) -> None:
            answer.status = response.status_code
            answer.rejected, answer.message = _partial_success(response) if response.ok else (0, response.text[:200])

        session.hooks["response"].append(note)
    _sessions.add(session)
    return session


def _partial_success(response: requests.Response) -> tuple[int, str]:
    try:
        partial = ExportLogsServiceResponse.FromString(response.content).partial_success
    except Exception:  # status 200 with another body: the server has accepted the request
        return 0, ""
    return partial.rejected_log_records, partial.error_message


def _renew() -> None:
    # Parent and child would write to the same kept-alive connection. A lock that the parent's exporting thread held is
    # never released in the child. So pools and cookie jars are made anew; the import lock is avoided: an export
    # imports nothing.
    for session in list(_sessions):
        session.cookies = RequestsCookieJar()
        for scheme in list(session.adapters):
            session.mount(scheme, HTTPAdapter())


os.register_at_fork(after_in_child=_renew)
