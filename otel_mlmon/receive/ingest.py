"""What the receivers need of whoever takes the bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, Protocol

Signal = Literal["logs", "traces", "metrics"]
Encoding = Literal["protobuf", "json"]
SIGNALS: Final[tuple[Signal, ...]] = ("logs", "traces", "metrics")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was stored is stored; `rejected` records never will be, and `message` says why of the first."""

    rejected: int = 0
    message: str = ""


class Ingest(Protocol):
    """Blocks until everything is committed. Raises RejectedInput (permanent) or Retryable."""

    def __call__(self, signal: Signal, body: bytes, encoding: Encoding) -> Receipt: ...


Observe = Callable[[str, str, str], None]  # (transport, signal, outcome: ok, partial, rejected or retry)


def ignore(_transport: str, _signal: str, _outcome: str) -> None:
    """An observer that does not look."""
