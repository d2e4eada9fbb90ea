"""The values that travel between the stages of the processor. Frozen; no behaviour beyond simple views."""

from __future__ import annotations

from otel_mlmon.values.alerts import PHASE_CODE, Alert, AlertPhase, AlertState, HistogramValue, Point
from otel_mlmon.values.batches import (
    Batch,
    ChangeBatch,
    ChangeEvent,
    Decoded,
    FieldColumn,
    GroundTruthBatch,
    GroundTruthLayout,
    PredictionBatch,
)
from otel_mlmon.values.cells import Counts, FieldCells, Floats, Mask, State, Texts
from otel_mlmon.values.profiles import FieldProfile, PerformanceCounts, WindowProfile
from otel_mlmon.values.query import RowBlock
from otel_mlmon.values.reference import (
    FREQUENT_VALUES,
    Effects,
    FieldReference,
    MetricValue,
    Reference,
    SegmentReference,
)
from otel_mlmon.values.verdicts import STATUS_CODE, CheckResult, Status, Target, Verdict
