"""What an application holds: one Monitor per model, through which its predictions and ground truths leave."""

# ruff: noqa: A001, A002 - `id` is the word that users of the SDK write

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeVar, overload

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from otel_mlmon.sdk import guard
from otel_mlmon.sdk.batch import ground_truth_rows, key_map, keyed_rows, named
from otel_mlmon.sdk.call import Call
from otel_mlmon.sdk.capture import Selector, instrument
from otel_mlmon.sdk.check import check_monitor
from otel_mlmon.sdk.emit import Emitter, LoggerProvider
from otel_mlmon.sdk.flush import FLUSHER
from otel_mlmon.sdk.ids import new_id
from otel_mlmon.sdk.inputs import Source
from otel_mlmon.sdk.keep import Keeper
from otel_mlmon.sdk.measure import observe
from otel_mlmon.sdk.outbox import Outbox
from otel_mlmon.sdk.redact import Redaction
from otel_mlmon.sdk.span import Spans, active_context
from otel_mlmon.sdk.table import named_scores, segment_map
from otel_mlmon.sdk.times import to_ns
from otel_mlmon.wire import semconv

_PATIENCE_S: Final = 5.0  # with the shadow, when the monitor is closed

Function = TypeVar("Function", bound=Callable[..., Any])


class Monitor:
    """Records the predictions of one model version. Thread-safe; no method raises because of telemetry.

    `segments` names features whose value also says which segment a prediction belongs to. `features` is an allow-list
    (None: all), `hash_features` names those sent as a hash under `hash_key` (True: all). At most `max_buffer_rows`
    rows wait for a flush, every `flush_interval_s`; more are dropped and counted. Providers: None means the global
    ones. `clock` gives ns since the epoch. `shadow` is the intended model: it is called with the features of a share
    `shadow_rate` of the predictions, in a thread of its own, and what it says travels with them.
    Raises ConfigError for arguments that cannot be meant.
    """

    def __init__(
        self,
        name: str,
        version: str = "",
        *,
        segments: Sequence[str] = (),
        features: Collection[str] | None = None,
        hash_features: Collection[str] | bool = (),
        hash_key: bytes = b"",
        record_features_on_span: bool = False,
        flush_interval_s: float = 1.0,
        max_buffer_rows: int = 50_000,
        shadow: Callable[[Mapping[Any, Any]], Any] | None = None,
        shadow_rate: float = 0.01,
        tracer_provider: TracerProvider | None = None,
        logger_provider: LoggerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        check_monitor(
            name,
            version,
            segments=segments,
            features=features,
            hash_features=hash_features,
            flush_interval_s=flush_interval_s,
            max_buffer_rows=max_buffer_rows,
            shadow=shadow,
            shadow_rate=shadow_rate,
        )
        self.name = name
        self.version = version
        self._clock = clock
        self._enabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() != "true"
        redaction = Redaction(features, hash_features, hash_key)
        spans = Spans(tracer_provider, name, version, redaction.features if record_features_on_span else None)
        self._outbox = Outbox(
            name,
            version,
            emitter=Emitter(logger_provider),
            redaction=redaction,
            segment_features=tuple(segments),
            max_rows=max_buffer_rows,
            interval_s=flush_interval_s,
            wake=FLUSHER.wake,
            clock=clock,
            shadow=shadow if self._enabled else None,
            shadow_rate=shadow_rate,
        )
        self._keeper = Keeper(self._outbox, spans, tuple(segments), max_buffer_rows, clock)
        self._add = self._outbox.add
        self._add_truth = self._outbox.ground_truths.add
        # A monitor that is forgotten does not take its last rows along.
        self._retire = weakref.finalize(self, FLUSHER.retire, self._outbox)
        self._retire.atexit = False
        self._keeper.enabled = self._enabled
        if self._enabled:
            observe(meter_provider)
            FLUSHER.add(self._outbox)

    # ---- one prediction -------------------------------------------------------------------------------------------

    def record(
        self,
        features: Mapping[Any, Any],
        prediction: Any,
        *,
        id: str | None = None,
        timestamp: Any = None,
        scores: Any = None,
        duration: float | None = None,
        segments: Mapping[str, Any] | None = None,
    ) -> str:
        """Keep one prediction; about a microsecond. Returns its id, under which the ground truth may come later.

        `timestamp`: ns (int), seconds (float) or datetime (naive: UTC); None is now. `duration`: seconds. `scores`: by
        class. `segments`: further keys with few values. The mapping is copied, values that it holds are not.
        """
        try:
            if id is None:
                id = new_id()
            elif type(id) is not str:
                id = str(id)
            if self._enabled:
                # The fields of a PredictionRow; a plain tuple costs a fifth of one.
                self._add(
                    (
                        id,
                        self._clock() if timestamp is None else to_ns(timestamp),
                        dict(features),
                        prediction,
                        None if scores is None else named_scores(scores),
                        None if duration is None else float(duration),
                        None if segments is None else segment_map(segments),
                        None,
                        active_context(),
                    )
                )
        except Exception as error:
            self._outbox.refuse(semconv.EVENT_PREDICTION_BATCH, "failed", 1)
            guard.caught("record", error)
        return id or ""

    def prediction(
        self,
        features: Any,
        *,
        id: str | None = None,
        segments: Mapping[str, Any] | None = None,
        timestamp: Any = None,
    ) -> Call:
        """A context manager (also async) around one prediction: set `value`, and `scores`, on what it yields."""
        try:
            id = new_id() if id is None else str(id)
        except Exception as error:
            guard.caught("prediction", error)
        return Call(self._keeper, features, id or "", segments, timestamp)

    @overload
    def __call__(self, function: Function, /) -> Function: ...

    @overload
    def __call__(
        self, /, *, features: Selector | None = None, id: Selector | None = None
    ) -> Callable[[Function], Function]: ...

    def __call__(
        self, function: Function | None = None, /, *, features: Selector | None = None, id: Selector | None = None
    ) -> Function | Callable[[Function], Function]:
        """Decorate a function, plain or async: its arguments are the features, what it returns the prediction.

        `features` and `id` each name an argument, or are a function of the same arguments. By default the features
        are the first argument that is a mapping or a table, else all arguments by name.
        """
        if function is not None:
            return instrument(function, self.prediction, features, id)
        return lambda decorated: instrument(decorated, self.prediction, features, id)

    predict = __call__

    # ---- many predictions -----------------------------------------------------------------------------------------

    def record_batch(
        self,
        data: Any,
        predictions: Any = None,
        *,
        ids: Any = None,
        timestamps: Any = None,
        scores: Any = None,
        segments: Mapping[str, Any] | None = None,
        feature_names: Sequence[str] | None = None,
    ) -> list[str]:
        """Keep many predictions; returns their ids, or an empty list if `data` cannot be read.

        `data`: pandas DataFrame, 2-D NumPy array (with `feature_names`), Arrow table, list of dicts, dict of columns.
        `timestamps`: one per row or one for all. `scores`: by class, or as `predict_proba` returns them. `segments`:
        a value for all rows or a column of them, by key. May wait for the exporter when the buffer is half full.
        """
        try:
            if not self._enabled:
                return named(_length(data), ids)
            return self._keeper.table(
                Source(data, feature_names),
                predictions,
                ids=ids,
                timestamps=timestamps,
                scores=scores,
                segments=segments,
            )
        except Exception as error:
            self._outbox.refuse(semconv.EVENT_PREDICTION_BATCH, "failed", _length(data))
            guard.caught("record_batch", error)
            return []

    # ---- ground truth ---------------------------------------------------------------------------------------------

    def ground_truth(
        self, id: str | None, value: Any, *, timestamp: Any = None, key: Mapping[str, Any] | None = None
    ) -> None:
        """The true outcome of the prediction `id`; or, with None and a `key`, of all whose features have these values.

        `timestamp`: when it became known; None is now. Example of a key: {"customer": 42, "day": "2026-01-02"}.
        """
        try:
            if self._enabled:
                if (id is None) == (key is None):
                    raise ValueError(f"found id {id!r} and key {key!r}; allowed is one of the two")
                time = self._clock() if timestamp is None else to_ns(timestamp)
                self._add_truth(("" if id is None else str(id), value, time, None if key is None else key_map(key)))
        except Exception as error:
            self._outbox.refuse(semconv.EVENT_GROUND_TRUTH_BATCH, "failed", 1)
            guard.caught("ground_truth", error)

    def ground_truth_batch(
        self, ids: Any = None, values: Any = None, *, timestamps: Any = None, keys: Mapping[str, Any] | None = None
    ) -> None:
        """The true outcomes of many predictions, as columns; `timestamps`: one per row or one for all.

        `keys`: a column per feature, in place of `ids`.
        """
        try:
            if self._enabled:
                if (ids is None) == (keys is None):
                    raise ValueError("found ids and keys, or neither; allowed is one of the two")
                now = self._clock()
                rows = (
                    ground_truth_rows(ids, values, timestamps, now)
                    if keys is None
                    else keyed_rows(keys, values, timestamps, now)
                )
                for row in rows:
                    self._add_truth(row)
        except Exception as error:
            self._outbox.refuse(semconv.EVENT_GROUND_TRUTH_BATCH, "failed", _length(values if ids is None else ids))
            guard.caught("ground_truth_batch", error)

    # ---- deployments ----------------------------------------------------------------------------------------------

    def deployed(self, version: str = "", description: str = "") -> None:
        """Say that a version of the model (None given: this monitor's) is in use from now on, or what else changed.

        Verdicts are explained by what was deployed just before.
        """
        try:
            if self._enabled:
                self._outbox.deployed(str(version), str(description))
        except Exception as error:
            guard.caught("deployed", error)

    # ---- the way out ----------------------------------------------------------------------------------------------

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Send what waits now; False if the exporter could not, or not in time. Never needed in normal operation."""
        try:
            return not self._enabled or FLUSHER.flush_with_shadow(self._outbox, timeout_s)
        except Exception as error:
            guard.caught("flush", error)
            return False

    def close(self) -> None:
        """Flush and record no more. May be called twice."""
        try:
            self._outbox.close(_PATIENCE_S)
        except Exception as error:
            guard.caught("close", error)
        self.flush()
        self._enabled = self._keeper.enabled = False
        self._retire()


def _length(data: Any) -> int:
    columns = list(data.values()) if isinstance(data, Mapping) else [data]
    return len(columns[0]) if columns and hasattr(columns[0], "__len__") else 1
