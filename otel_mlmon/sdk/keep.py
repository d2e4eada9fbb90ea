"""Put finished predictions, single or as a table, into the outbox."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from otel_mlmon.sdk.batch import other_columns, prediction_tables
from otel_mlmon.sdk.call import Call
from otel_mlmon.sdk.flush import FLUSHER
from otel_mlmon.sdk.inputs import UNREAD, Source, is_tabular
from otel_mlmon.sdk.outbox import Outbox
from otel_mlmon.sdk.span import OpenSpan, Spans, active_context
from otel_mlmon.sdk.table import named_scores, segment_map
from otel_mlmon.sdk.times import to_ns
from otel_mlmon.wire import semconv
from otel_mlmon.wire.columns import ABSENT

_FLUSH_TIMEOUT_S: Final = 10.0
_CHUNK_ROWS: Final = 16_384  # rows of a large table that are turned into Python values at a time


class Keeper:
    """Keep the predictions of one monitor. May raise; the callers catch the errors."""

    def __init__(
        self,
        outbox: Outbox,
        spans: Spans,
        segment_features: tuple[str, ...],
        max_rows: int,
        clock: Callable[[], int],
    ) -> None:
        self.enabled = True
        self._outbox = outbox
        self._spans = spans
        self._segment_features = segment_features
        self._chunk_rows = max(1, min(_CHUNK_ROWS, max_rows // 2))
        self._full_rows = max_rows // 2
        self._clock = clock

    def begin(self, call: Call) -> OpenSpan | None:
        """Copy the features of `call` before the model can change them; open its span."""
        if not self.enabled:
            return None
        features, call.features = call.features, UNREAD
        if call.timestamp is None:
            call.timestamp = self._clock()
        if features is not UNREAD:
            call.features = Source(features, copy=True) if is_tabular(features) else dict(features)
        if isinstance(call.features, dict):
            return self._spans.start(call.id, call.features)
        return self._spans.start(None, None)

    def end(self, call: Call, duration: float, error_type: str | None) -> None:
        """Keep the finished prediction or table of predictions."""
        if not self.enabled:
            return
        try:
            self._end(call, duration, error_type)
        except Exception:
            rows = call.features.rows if isinstance(call.features, Source) else 1
            self._outbox.refuse(semconv.EVENT_PREDICTION_BATCH, "failed", rows)
            raise

    def _end(self, call: Call, duration: float, error_type: str | None) -> None:
        if isinstance(call.features, Source):
            self.table(
                call.features,
                None if call.value is ABSENT else call.value,
                error_type=error_type,
                timestamps=call.timestamp,
                scores=call.scores,
                segments=call.segments,
            )
        elif not isinstance(call.features, dict):  # unreadable features must not look like missing features
            self._outbox.refuse(semconv.EVENT_PREDICTION_BATCH, "failed", 1)
        else:
            self._outbox.add(
                (
                    call.id,
                    to_ns(call.timestamp),
                    call.features,
                    call.value,
                    None if call.scores is None else named_scores(call.scores),
                    duration,
                    segment_map(call.segments),
                    error_type,
                    active_context(),
                )
            )

    def table(
        self, source: Source, predictions: Any, *, error_type: str | None = None, ids: Any = None, **beside: Any
    ) -> list[str]:
        """Keep many predictions. Return their ids. `beside`: timestamps, scores, segments."""
        columns = other_columns(source.rows, self._clock(), predictions=predictions, ids=ids, **beside)
        columns[semconv.COLUMN_ERROR_TYPE] = [error_type] * source.rows
        may_wait = True
        context = active_context()
        for table in prediction_tables(source, columns, self._segment_features, context, self._chunk_rows):
            # A batch may be larger than the buffer. Its caller may wait a little; that of a single prediction may not.
            if may_wait and len(self._outbox.predictions) + len(table) > self._full_rows:
                may_wait = FLUSHER.flush([self._outbox], _FLUSH_TIMEOUT_S)
            self._outbox.add_table(table)
        return columns[semconv.COLUMN_ID]
