"""The Monitor: an application holds one per model and records predictions and ground truths through it."""

# ruff: noqa: A001, A002 - `id` is the word that users of the SDK write

from __future__ import annotations

import inspect
import os
import time
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar, overload

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from otel_mlmon.errors import ConfigError
from otel_mlmon.sdk import guard
from otel_mlmon.sdk.batch import ground_truth_rows, key_map, keyed_rows, named, new_id
from otel_mlmon.sdk.call import Call
from otel_mlmon.sdk.capture import Selector, instrument
from otel_mlmon.sdk.emit import Emitter, LoggerProvider
from otel_mlmon.sdk.flush import FLUSHER
from otel_mlmon.sdk.inputs import Source
from otel_mlmon.sdk.keep import Keeper
from otel_mlmon.sdk.measure import observe
from otel_mlmon.sdk.outbox import Outbox
from otel_mlmon.sdk.redact import Redaction
from otel_mlmon.sdk.shadow import Shadow
from otel_mlmon.sdk.span import Spans, active_context
from otel_mlmon.sdk.table import named_scores, segment_map
from otel_mlmon.sdk.times import to_ns
from otel_mlmon.wire import semconv

_LONGEST_NAME: Final = 1024
_CLOSE_SHADOW_TIMEOUT_S: Final = 5.0

Function = TypeVar("Function", bound=Callable[..., Any])


class Monitor:
    """Record the predictions of one model version. Thread-safe; no method raises because of telemetry.

    `name`: the model's name; rules and references refer to it.
    `version`: the model's version.
    `segments`: features whose value also names the segment of a prediction.
    `features`: the features that are sent (None: all).
    `hash_features`: the features that are sent as a hash (True: all).
    `hash_key`: the key of these hashes.
    `record_features_on_span`: also write the features on the prediction's span.
    `flush_interval_s`: time between two flushes, in seconds.
    `max_buffer_rows`: number of rows that may wait for the next flush; further rows are dropped and counted.
    `shadow`: the intended model. A thread of its own calls it with the features of some predictions; its answer is
    sent with the prediction.
    `shadow_rate`: the share of the predictions that the shadow is called for.
    `tracer_provider`, `logger_provider`, `meter_provider`: None means the global one.
    `clock`: the time in ns since the epoch.

    Raises ConfigError for an argument out of range or of the wrong type.
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
        _check_names(name, version, segments=segments, features=features, hash_features=hash_features)
        _check_numbers(flush_interval_s=flush_interval_s, max_buffer_rows=max_buffer_rows)
        _check_shadow(shadow, shadow_rate)
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
            wake=FLUSHER.wake,
            clock=clock,
            shadow=partial(Shadow, shadow, shadow_rate) if shadow is not None and self._enabled else None,
        )
        self._keeper = Keeper(self._outbox, spans, tuple(segments), max_buffer_rows, clock)
        self._add = self._outbox.add
        self._add_truth = self._outbox.ground_truths.add
        # The last rows of a monitor that is garbage-collected are still sent.
        self._retire = weakref.finalize(self, FLUSHER.retire, self._outbox)
        self._retire.atexit = False
        self._keeper.enabled = self._enabled
        if self._enabled:
            observe(meter_provider)
            FLUSHER.add(self._outbox, flush_interval_s)

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
        """Keep one prediction; about a microsecond. Return its id, to send the ground truth with.

        `features`: feature values by name. The mapping is copied; its values are not.
        `prediction`: a number or a class.
        `id`: the prediction's id; None makes one.
        `timestamp`: ns (int), seconds (float) or datetime (naive: UTC); None is now.
        `scores`: the model's scores by class.
        `duration`: seconds that the prediction took.
        `segments`: further segment keys, each with few values.
        """
        try:
            if id is None:
                id = new_id()
            elif type(id) is not str:
                id = str(id)
            if self._enabled:
                # The fields of a PredictionRow, as a plain tuple: that takes a fifth of the time.
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
        """Return a context manager (also async) around one prediction; set `value` and `scores` on the yielded call.

        `features`: a mapping, or a table of one row.
        `id`: the prediction's id; None makes one.
        `segments`: further segment keys, each with few values.
        `timestamp`: ns (int), seconds (float) or datetime (naive: UTC); None is now.
        """
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
        """Decorate a function, plain or async: its arguments are the features, its result is the prediction.

        `function`: the function; without it, a decorator is returned.
        `features`: the argument with the features, by name, or a function of the same arguments. By default, the first
        argument that is a mapping or a table, or else all arguments by name.
        `id`: the argument with the prediction's id, by name, or a function of the same arguments.
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
        """Keep many predictions. Return their ids, or an empty list if `data` cannot be read.

        When the buffer is half full, the call may wait for the exporter.

        `data`: pandas DataFrame, 2-D NumPy array (with `feature_names`), Arrow table, list of dicts, dict of columns.
        `predictions`: one per row.
        `ids`: one per row; None makes them.
        `timestamps`: one per row or one for all; None is now.
        `scores`: by class, or the array that `predict_proba` returns.
        `segments`: by key, one value for all rows or a column.
        `feature_names`: the columns of a NumPy array.
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
        """Keep the ground truth of the prediction `id`, or of all predictions whose features have the values of `key`.

        `id`: the prediction's id; None with a `key`.
        `value`: the true outcome.
        `key`: values of features in place of an id, such as {"customer": 42, "day": "2026-01-02"}.
        `timestamp`: the time at which the ground truth became known; None is now.
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
        """Keep the ground truths of many predictions, given as columns.

        `ids`: one per row; None with `keys`.
        `values`: the true outcomes, one per row.
        `timestamps`: the times at which they became known, one per row or one for all; None is now.
        `keys`: in place of ids, a column of values per feature.
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
        """Report that a version of the model (empty: this monitor's) is in use from now on, or another change.

        The explanation of an alert lists the deployments just before it.

        `version`: the version that is in use from now on.
        `description`: a text for people.
        """
        try:
            if self._enabled:
                self._outbox.deployed(str(version), str(description))
        except Exception as error:
            guard.caught("deployed", error)

    # ---- flush and close ------------------------------------------------------------------------------------------

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Send the waiting rows now; not needed in normal operation. Return False if the export fails or is late.

        `timeout_s`: the longest wait, in seconds.
        """
        try:
            return not self._enabled or FLUSHER.flush_with_shadow(self._outbox, timeout_s)
        except Exception as error:
            guard.caught("flush", error)
            return False

    def close(self) -> None:
        """Flush, then record nothing more. A second call does nothing."""
        try:
            self._outbox.close(_CLOSE_SHADOW_TIMEOUT_S)
        except Exception as error:
            guard.caught("close", error)
        self.flush()
        self._enabled = self._keeper.enabled = False
        self._retire()


def _length(data: Any) -> int:
    columns = list(data.values()) if isinstance(data, Mapping) else [data]
    return len(columns[0]) if columns and hasattr(columns[0], "__len__") else 1


def _check_names(name: str, version: str, **collections: Collection[str] | bool | None) -> None:
    """Raise ConfigError for names out of range or of the wrong type. The SDK raises at no other place."""
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
        raise ConfigError(f"Monitor: name: found {name!r}; allowed is text of 1 to {_LONGEST_NAME} characters")
    if not isinstance(version, str) or len(version) > _LONGEST_NAME:
        raise ConfigError(f"Monitor: version: found {version!r}; allowed is text of up to {_LONGEST_NAME} characters")
    for key, names in collections.items():
        if isinstance(names, str):  # would be taken as a collection of letters
            raise ConfigError(f"Monitor: {key}: found the text {names!r}; allowed is a list of names: [{names!r}]")


def _check_numbers(**numbers: float) -> None:
    for key, number in numbers.items():
        if not number > 0:
            raise ConfigError(f"Monitor: {key}: found {number!r}; allowed is a number above 0")


def _check_shadow(shadow: Any, rate: float) -> None:
    if shadow is not None and (not callable(shadow) or inspect.iscoroutinefunction(shadow)):
        shown = f"the async function {shadow.__qualname__}" if callable(shadow) else repr(shadow)
        raise ConfigError(f"Monitor: shadow: found {shown}; allowed is a plain function of a mapping of features")
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate <= 1:
        raise ConfigError(f"Monitor: shadow_rate: found {rate!r}; allowed is a share above 0, up to 1")
