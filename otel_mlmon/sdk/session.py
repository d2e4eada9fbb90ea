"""HTTP sessions for the OTLP exporters: safe across a fork, and telling what the server answered."""

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
    """The last answer on this thread. `status` is None when there was none. `rejected`: records refused for good."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Before a request."""
        self.status: int | None = None
        self.rejected = 0
        self.message = ""


def new_session(answer: Answer | None = None) -> requests.Session:
    """A session whose answers are noted in `answer`, which the exporters themselves keep to themselves."""
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
    except Exception:  # a server that answers 200 with something else accepted the request all the same
        return 0, ""
    return partial.rejected_log_records, partial.error_message


def _renew() -> None:
    # A kept-alive connection that parent and child both write to mixes up their requests, and a lock that the
    # exporting thread held in the parent is never released in the child: those of pools and cookies are made anew here,
    # and that of an import is avoided by importing nothing on the way of an export.
    for session in list(_sessions):
        session.cookies = RequestsCookieJar()
        for scheme in list(session.adapters):
            session.mount(scheme, HTTPAdapter())


os.register_at_fork(after_in_child=_renew)
