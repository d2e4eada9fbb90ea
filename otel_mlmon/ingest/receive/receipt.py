"""What the receivers need of whoever takes the bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from otel_mlmon.values import GroundTruthLayout

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


Form = Literal["jsonl", "csv", "arrow", "parquet"]


@dataclass(frozen=True, slots=True)
class TableReceipt:
    """What became of the rows of a table; `message` says why of the first that was rejected, `reasons` of how many."""

    stored: int = 0
    duplicates: int = 0
    rejected: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    message: str = ""


class IngestTable(Protocol):
    """Blocks until everything is committed. Raises RejectedInput (permanent) or Retryable."""

    def __call__(self, form: Form, body: bytes, layout: GroundTruthLayout) -> TableReceipt: ...


Observe = Callable[
    [str, str, str], None
]  # (transport, signal or ground_truth, outcome: ok, partial, rejected or retry)


def ignore(_transport: str, _signal: str, _outcome: str) -> None:
    """An observer that does not look."""
