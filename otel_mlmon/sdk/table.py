"""Turn rows into tables: columns of plain lists, which are then redacted, split and encoded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any, NamedTuple

from otel_mlmon.wire import semconv
from otel_mlmon.wire.columns import ABSENT, json_text

Texts = list[str | None]


class PredictionRow(NamedTuple):
    """One prediction in the buffer. `context`: (trace id, span id) of the active span, if any."""

    id: str
    time: int
    features: Mapping[Any, Any]
    prediction: Any
    scores: Mapping[Any, Any] | None
    duration: float | None
    segments: Mapping[str, str | None] | None
    error_type: str | None
    context: tuple[int, int] | None


class GroundTruthRow(NamedTuple):
    """One ground truth in the buffer. `keys`: values of features, in place of the id."""

    id: str
    value: Any
    time: int
    keys: Mapping[str, Any] | None = None


@dataclass(slots=True)
class Table:
    """Columns of equal length by name on the wire. `fields` hold values of any type or ABSENT, `texts` hold text."""

    ids: list[str]
    times: list[int]
    fields: dict[str, list[Any]]
    texts: dict[str, Texts] = field(default_factory=dict)
    durations: list[float | None] | None = None
    lost: list[int] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, start: int, stop: int) -> Table:
        """The rows from `start` to `stop`."""
        return self._each(lambda values: values[start:stop])

    def where(self, chosen: Sequence[bool]) -> Table:
        """The rows for which `chosen` is true."""
        return self._each(lambda values: list(compress(values, chosen)))

    def _each(self, select: Callable[[list[Any]], list[Any]]) -> Table:
        return Table(
            select(self.ids),
            select(self.times),
            {name: select(values) for name, values in self.fields.items()},
            {name: select(values) for name, values in self.texts.items()},
            None if self.durations is None else select(self.durations),
            None if self.lost is None else select(self.lost),
        )


def from_predictions(rows: Sequence[PredictionRow], segment_features: Sequence[str] = ()) -> Table:
    """Make a table of single predictions. The values of `segment_features` become segments too."""
    # zip, column by column, is several times faster than a loop over attributes.
    ids, times, features, predictions, scores, durations, segments, errors, contexts = zip(*rows, strict=True)
    fields = {semconv.COLUMN_PREDICTION: [scalar(value) for value in predictions]}
    fields.update(gather(features, semconv.COLUMN_FEATURE_PREFIX))
    if any(by_class is not None for by_class in scores):
        fields.update(gather([by_class or {} for by_class in scores], semconv.COLUMN_SCORE_PREFIX))
    texts: dict[str, Texts] = {
        semconv.COLUMN_TRACE_ID: [None if c is None else f"{c[0]:032x}" for c in contexts],
        semconv.COLUMN_SPAN_ID: [None if c is None else f"{c[1]:016x}" for c in contexts],
        semconv.COLUMN_ERROR_TYPE: list(errors),
    }
    texts.update(segment_texts(fields, segment_features))
    if any(segments):
        for name, values in gather([by_key or {} for by_key in segments], semconv.COLUMN_SEGMENT_PREFIX).items():
            # A segment given with the call wins over the feature of the same name.
            fallback = texts.get(name) or [None] * len(values)
            texts[name] = [f if v is ABSENT else v for v, f in zip(values, fallback, strict=True)]
    return Table(list(ids), list(times), fields, texts, list(durations), [0] * len(ids))


def from_shadowed(rows: Sequence[tuple[Any, ...]], segment_features: Sequence[str] = ()) -> Table:
    """Make a table of predictions whose rows have one more element: the shadow's answer to the same features."""
    table = from_predictions([PredictionRow(*row[:-1]) for row in rows], segment_features)
    table.fields[semconv.COLUMN_SHADOW] = [row[-1] for row in rows]
    return table


def from_ground_truths(rows: Sequence[GroundTruthRow]) -> Table:
    """Make a table of ground truths; all have ids, or all have keys of the same features."""
    ids, values, times, keys = zip(*rows, strict=True)
    fields = {semconv.COLUMN_GROUND_TRUTH: list(values)}
    if keys[0] is not None:
        fields.update(gather(keys, semconv.COLUMN_KEY_PREFIX))
    return Table(list(ids), list(times), fields)


def by_keys(rows: Iterable[GroundTruthRow]) -> list[list[GroundTruthRow]]:
    """Group the rows so that each group can become one table."""
    groups: dict[frozenset[str] | None, list[GroundTruthRow]] = {}
    for row in rows:
        keys = row[3]  # rows in a buffer are plain tuples
        groups.setdefault(None if keys is None else frozenset(keys), []).append(row)
    return list(groups.values())


def gather(rows: Sequence[Mapping[Any, Any]], prefix: str) -> dict[str, list[Any]]:
    """Make one list for each key of `rows`, with ABSENT where a row lacks the key."""
    names: dict[Any, None] = {}
    for row in rows:
        names.update(dict.fromkeys(row))
    return {f"{prefix}{name}": [row.get(name, ABSENT) for row in rows] for name in names}


def segment_texts(fields: Mapping[str, list[Any]], names: Iterable[str]) -> dict[str, Texts]:
    """Make segment columns from the features `names`; names without a column are skipped."""
    columns = ((name, fields.get(semconv.COLUMN_FEATURE_PREFIX + name)) for name in names)
    return {
        semconv.COLUMN_SEGMENT_PREFIX + name: [text(value) for value in values]
        for name, values in columns
        if values is not None
    }


def text(value: Any) -> str | None:
    """Return a segment's value as text: text unchanged, other values as JSON text, None for null and ABSENT."""
    if type(value) is str or value is None:
        return value
    return None if value is ABSENT else json_text(value)


def segment_map(segments: Mapping[str, Any] | None) -> dict[str, str | None] | None:
    """Convert the segments of a call to text."""
    return {str(name): text(value) for name, value in segments.items()} if segments else None


def named_scores(scores: Any) -> Mapping[Any, Any]:
    """Return scores by class; the classes of a plain sequence, such as a row of `predict_proba`, are its positions."""
    if scores is None:
        return {}
    return dict(scores) if isinstance(scores, Mapping) else dict(enumerate(scores))


def scalar(value: Any) -> Any:
    """Unpack a NumPy array of one element, as `model.predict([row])` returns it; return other values unchanged."""
    item: Callable[[], Any] | None = getattr(value, "item", None)
    return item() if callable(item) and getattr(value, "size", 0) == 1 else value
