"""The interface between the receivers and the pipeline that takes the bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from otel_mlmon.values import GroundTruthLayout

Signal = Literal["logs", "traces", "metrics"]
Encoding = Literal["protobuf", "json"]
SIGNALS: Final[tuple[Signal, ...]] = ("logs", "traces", "metrics")


@dataclass(frozen=True, slots=True)
class Receipt:
    """Result of an OTLP request: `rejected` records will never be stored; `message` gives the reason of the first."""

    rejected: int = 0
    message: str = ""


Format = Literal["jsonl", "csv", "arrow", "parquet"]


@dataclass(frozen=True, slots=True)
class TableReceipt:
    """Counts of the rows of a table. `reasons`: rejected rows by reason; `message`: about the first rejected row."""

    stored: int = 0
    duplicates: int = 0
    rejected: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    message: str = ""


# Both store a request and return after the commit. They raise RejectedInput (permanent) or Retryable.
Ingest = Callable[[Signal, bytes, Encoding], Receipt]
IngestTable = Callable[[Format, bytes, GroundTruthLayout], TableReceipt]
# (transport, signal or ground_truth, outcome: ok, partial, rejected or retry)
Observe = Callable[[str, str, str], None]


def ignore(_transport: str, _signal: str, _outcome: str) -> None:
    """Observe nothing."""
