"""The errors of otel_mlmon. Each says what was found, where, and what is allowed. Some pass with time: `backoff_s`."""

from __future__ import annotations

from dataclasses import dataclass


class MlmonError(Exception):
    """Base of all errors raised on purpose."""


class ConfigError(MlmonError):
    """The configuration cannot be used."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One mistake in a file. `line` and `column` count from 1; 0 means the file as a whole."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        """`file:line:col: message`, the form that editors turn into a link."""
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class RuleFileError(ConfigError):
    """Rule files with mistakes; `findings` holds every one of them."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = sorted(findings)
        super().__init__("\n".join(str(finding) for finding in self.findings))


class BadReference(MlmonError):
    """A reference cannot be made, read or found."""


class RejectedInput(MlmonError):
    """Permanent: the same bytes will never be accepted. `reason` is a short word for counters."""

    def __init__(self, message: str, reason: str = "malformed") -> None:
        super().__init__(message)
        self.reason = reason


class TooLarge(RejectedInput):
    """Permanent: the request exceeds the size limit, before or after decompression."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "too_large")


class Retryable(MlmonError):
    """Temporary: the sender should send the same bytes again after `retry_after_s`."""

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Overloaded(Retryable):
    """The queue is full."""


class StoreUnavailable(Retryable):
    """The store could not commit (disk full, file gone, shutting down)."""


class EvaluationError(MlmonError):
    """A rule could not be evaluated."""


def backoff_s(failures: int, first_s: float, longest_s: float) -> float:
    """Seconds to wait after `failures` failures in a row, at least 1: doubles from `first_s` up to `longest_s`.

    >>> [backoff_s(failures, 1.0, 30.0) for failures in (1, 2, 5, 6, 10_000)]
    [1.0, 2.0, 16.0, 30.0, 30.0]
    """
    return min(first_s * 2.0 ** min(failures - 1, 30), longest_s)
