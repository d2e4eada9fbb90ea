"""One URL that takes deliveries. Attempts are made one at a time, counted and logged."""

from __future__ import annotations

import logging
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit

import requests

from otel_mlmon.export.source import ObserveDelivery

_log = logging.getLogger(__name__)
TIMEOUT_S: Final = 10.0
_BUSY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})

Outcome = Literal["sent", "busy", "refused", "unreachable"]


class Answer(NamedTuple):
    """`busy` may take the same bytes later, `refused` never will. `wait_s`: the seconds of Retry-After."""

    outcome: Outcome
    wait_s: float = 0.0
    body: bytes = b""


class Destination:
    """Used by one thread only."""

    def __init__(self, name: str, url: str, observe: ObserveDelivery) -> None:
        """`name` is the metric attribute: alertmanager, webhook or otlp."""
        self.name = name
        self._url = url
        self._observe = observe
        self._session = requests.Session()
        self._failing = False
        # Paths and passwords of such URLs are often secrets, so logs show only the host.
        parts = urlsplit(url)
        self._shown = f"{name} at {parts.hostname}:{parts.port}" if parts.port else f"{name} at {parts.hostname}"

    def post(self, body: bytes, content_type: str, encoding: str = "") -> Answer:
        """One attempt. Never raises."""
        headers = {"Content-Type": content_type, **({"Content-Encoding": encoding} if encoding else {})}
        try:
            # A redirected POST would become a GET, and its answer would look like success.
            got = self._session.post(self._url, data=body, headers=headers, timeout=TIMEOUT_S, allow_redirects=False)
        except (requests.RequestException, OSError, ValueError) as error:
            self._failed(_cause(error))
            return Answer("unreachable")
        if 200 <= got.status_code < 300:
            self._succeeded()
            return Answer("sent", body=got.content)
        self._failed(f"answered {got.status_code}: {got.text[:300].strip()!r}")
        return Answer("busy" if got.status_code in _BUSY else "refused", _seconds(got.headers.get("Retry-After")))

    def dropped(self, count: int, why: str) -> None:
        """Count and log deliveries that will never be made."""
        for _ in range(count):
            self._observe(self.name, "dropped")
        if count:
            _log.warning("%s: %d dropped: %s", self._shown, count, why)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _succeeded(self) -> None:
        self._observe(self.name, "sent")
        if self._failing:
            _log.info("%s takes deliveries again", self._shown)
        self._failing = False

    def _failed(self, why: str) -> None:
        self._observe(self.name, "failed")
        if not self._failing:  # once per outage
            _log.warning("%s takes no deliveries: %s", self._shown, why)
        self._failing = True


def _cause(error: BaseException) -> str:
    """Return the innermost reason; the outer ones repeat the URL, which may hold a secret."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    message = "" if isinstance(error, requests.RequestException) else f": {error}"
    return f"{type(error).__name__}{message}"


def _seconds(retry_after: str | None) -> float:
    """Retry-After in seconds; its other form, a date, is taken as no wish."""
    try:
        return max(0.0, min(float(retry_after or 0), 600.0))
    except ValueError:
        return 0.0
