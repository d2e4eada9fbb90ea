"""Turn many predictions or ground truths, given as columns, into tables or rows; give predictions their ids."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from otel_mlmon.sdk.inputs import Frame, Source, listed
from otel_mlmon.sdk.table import GroundTruthRow, Table, Texts, segment_texts, text
from otel_mlmon.sdk.times import to_ns
from otel_mlmon.wire import semconv
from otel_mlmon.wire.columns import ABSENT, is_nan


class _Ids:
    """Ids of predictions: a prefix unique to the process, and a counter. A UUID would take ten times as long."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Take a new prefix; in a forked child, the old prefix is the parent's."""
        self._prefix = f"{os.urandom(8).hex()}-"
        self._next = itertools.count(1).__next__

    def new(self) -> str:
        """Return the next id."""
        return f"{self._prefix}{self._next()}"


_IDS: Final = _Ids()
os.register_at_fork(after_in_child=_IDS.renew)
new_id: Final = _IDS.new


def prediction_tables(
    source: Source,
    columns: Mapping[str, list[Any]],
    segment_features: Sequence[str],
    context: tuple[int, int] | None,
    max_rows: int,
) -> Iterator[Table]:
    """Yield tables of up to `max_rows` rows of `source`. `columns`: those beside the features, by name on the wire."""
    for start, frame in source.frames(max_rows):
        part = {name: values[start : start + frame.rows] for name, values in columns.items()}
        yield _table(frame, part, segment_features, context)


def _table(
    frame: Frame, columns: dict[str, Any], segment_features: Sequence[str], context: tuple[int, int] | None
) -> Table:
    rows = frame.rows
    fields = {semconv.COLUMN_PREDICTION: columns.get(semconv.COLUMN_PREDICTION, [ABSENT] * rows)}
    fields.update({semconv.COLUMN_FEATURE_PREFIX + name: values for name, values in frame.columns.items()})
    fields.update({n: v for n, v in columns.items() if n.startswith(semconv.COLUMN_SCORE_PREFIX)})
    texts: dict[str, Texts] = {
        semconv.COLUMN_TRACE_ID: [None if context is None else f"{context[0]:032x}"] * rows,
        semconv.COLUMN_SPAN_ID: [None if context is None else f"{context[1]:016x}"] * rows,
        semconv.COLUMN_ERROR_TYPE: columns[semconv.COLUMN_ERROR_TYPE],
    }
    texts.update(segment_texts(fields, segment_features))
    texts.update({n: v for n, v in columns.items() if n.startswith(semconv.COLUMN_SEGMENT_PREFIX)})
    return Table(columns[semconv.COLUMN_ID], columns[semconv.COLUMN_TIME], fields, texts, [None] * rows, [0] * rows)


def other_columns(
    rows: int, now: int, *, predictions: Any, ids: Any, timestamps: Any, scores: Any, segments: Mapping[str, Any] | None
) -> dict[str, list[Any]]:
    """Make the columns of a batch beside its features, by name on the wire."""
    columns: dict[str, list[Any]] = {
        semconv.COLUMN_ID: named(rows, ids),
        semconv.COLUMN_TIME: timed(rows, timestamps, now),
    }
    if predictions is not None:
        columns[semconv.COLUMN_PREDICTION] = listed(predictions)
    for name, values in _score_columns(scores).items():
        columns[semconv.COLUMN_SCORE_PREFIX + name] = values
    for key, value in (segments or {}).items():
        constant = isinstance(value, (str, bytes)) or not hasattr(value, "__len__")
        columns[semconv.COLUMN_SEGMENT_PREFIX + str(key)] = (
            [text(value)] * rows if constant else [text(cell) for cell in listed(value)]
        )
    for name, values in columns.items():
        if len(values) != rows:
            raise ValueError(f"{name}: found {len(values)} values for {rows} rows")
    return columns


def _score_columns(scores: Any) -> dict[str, list[Any]]:
    if scores is None:
        return {}
    if isinstance(scores, Mapping):
        return {str(name): listed(values) for name, values in scores.items()}
    if hasattr(scores, "iloc") and getattr(scores, "ndim", 0) == 2:
        return {str(name): listed(scores.iloc[:, index]) for index, name in enumerate(scores.columns)}
    # The array of predict_proba: a column per class, named by position.
    return {str(index): list(values) for index, values in enumerate(zip(*listed(scores), strict=True))}


def named(rows: int, ids: Any) -> list[str]:
    """Return the ids as text, or new ids for None."""
    return [new_id() for _ in range(rows)] if ids is None else [str(id_) for id_ in listed(ids)]


def timed(rows: int, timestamps: Any, now: int) -> list[int]:
    """Return a time in ns for each row; `timestamps`: one per row, one for all, or None for `now`."""
    if timestamps is None:
        return [now] * rows
    kind = getattr(getattr(timestamps, "dtype", None), "kind", "")
    if not hasattr(timestamps, "__len__"):
        return [to_ns(timestamps)] * rows
    if kind == "M" and not hasattr(timestamps, "iloc"):  # in a list it would become ints or datetimes, by its unit
        timestamps = timestamps.astype("datetime64[ns]").astype("int64")
    return [to_ns(time) for time in listed(timestamps)]


def key_map(key: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the feature values of a key, by name. Raises ValueError if the key is empty or a value is missing."""
    values = {str(name): value for name, value in key.items()}
    if not values or any(value is None or is_nan(value) for value in values.values()):
        raise ValueError(f"key: found {values!r}; allowed are features, each with a value")
    return values


def keyed_rows(keys: Mapping[Any, Any], values: Any, timestamps: Any, now: int) -> list[GroundTruthRow]:
    """Make rows of ground truths by key. Raises ValueError if the lengths differ or a value of a key is missing."""
    truths, columns = listed(values), {str(name): listed(column) for name, column in keys.items()}
    times = timed(len(truths), timestamps, now)
    if any(len(column) != len(truths) for column in (*columns.values(), times)):
        lengths = {name: len(column) for name, column in columns.items()}
        raise ValueError(
            f"found keys {lengths}, {len(truths)} values, {len(times)} timestamps; allowed are as many of each"
        )
    rows = [key_map(dict(zip(columns, cells, strict=True))) for cells in zip(*columns.values(), strict=True)]
    if len(rows) != len(truths):
        raise ValueError("keys: found no column; allowed are features, each with a column of values")
    return [GroundTruthRow("", *row) for row in zip(truths, times, rows, strict=True)]


def ground_truth_rows(ids: Any, values: Any, timestamps: Any, now: int) -> list[GroundTruthRow]:
    """Make rows of ground truths by id. Raises ValueError if the lengths differ."""
    names, truths = named(0, ids), listed(values)
    times = timed(len(names), timestamps, now)
    if not len(names) == len(truths) == len(times):
        raise ValueError(
            f"found {len(names)} ids, {len(truths)} values, {len(times)} timestamps; allowed are as many of each"
        )
    return [GroundTruthRow(*row) for row in zip(names, truths, times, strict=True)]
