"""Decode → store: the contents of one request, in columns. Frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class FieldColumn:
    """One field of a batch: `columns.Column` in Arrow form. Type of `values`: int64, float64, string or bool."""

    values: pa.Array
    absent: pa.Array | None = None  # bool
    other: pa.Array | None = None  # string, JSON text


@dataclass(frozen=True, slots=True)
class PredictionBatch:
    """Predictions of one model and version, columns of equal length.

    `fields` maps a field's name (`semconv.FIELD_PREDICTION`, `semconv.score_field`, or a feature's own name) to its
    column. `dropped` counts rows that the sender reports as lost before this batch. `origin` holds the resource
    attributes that identify the sender (`semconv.ORIGIN`).
    """

    model: str
    version: str
    ids: pa.Array  # string, no nulls
    times: pa.Array  # int64, ns since the epoch, no nulls
    fields: Mapping[str, FieldColumn]
    segments: Mapping[str, pa.Array]  # string
    durations: pa.Array  # float64, seconds
    trace_ids: pa.Array  # string, hex
    span_ids: pa.Array  # string, hex
    error_types: pa.Array  # string
    lost: pa.Array  # int32, no nulls
    dropped: int = 0
    origin: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class GroundTruthBatch:
    """Ground truth of one model's predictions, by prediction id. `times`: when each became known, ns.

    With `keys`, feature → column without nulls, a row is about all predictions with these values; `ids` are then empty
    texts.
    """

    model: str
    ids: pa.Array  # string, no nulls
    times: pa.Array  # int64, ns, no nulls
    values: FieldColumn
    keys: Mapping[str, FieldColumn] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class GroundTruthLayout:
    """The columns of a ground-truth table.

    `model` "": the column "model" names it. `time` "": `known_at` (ns) holds for all rows, or the time of receipt where
    that is None. `keys`: (feature, column) pairs in place of the column `id`. `first_row`: number of the first row, in
    messages.
    """

    model: str = ""
    id: str = "prediction_id"
    value: str = "ground_truth"
    time: str = ""
    keys: tuple[tuple[str, str], ...] = ()
    known_at: int | None = None
    first_row: int = 1


@dataclass(frozen=True, slots=True)
class ChangeEvent:
    """A first sighting about a model, or a deployment that somebody reported. `time`: ns.

    `model` "": all models. `kind`: model_version, service_version, feature_set, client or deployment. `text` is for
    people.
    """

    model: str
    kind: str
    value: str
    time: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class ChangeBatch:
    """Reported deployments."""

    events: tuple[ChangeEvent, ...]

    def __len__(self) -> int:
        return len(self.events)


Batch = PredictionBatch | GroundTruthBatch | ChangeBatch


@dataclass(frozen=True, slots=True)
class Decoded:
    """The contents of one request. `rejected` maps a reason to rows; `message` explains the first rejection."""

    batches: tuple[Batch, ...] = ()
    rejected: Mapping[str, int] = field(default_factory=dict)
    message: str = ""
    ignored: int = 0  # records of other kinds
