"""Rows turned into columns of plain lists: the form in which a batch is redacted, split and encoded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any, NamedTuple

from otel_mlmon.wire import semconv
from otel_mlmon.wire.columns import ABSENT, json_text

Texts = list[str | None]


class PredictionRow(NamedTuple):
    """One prediction as it waits in the buffer. `context`: the active span's (trace id, span id), if any."""

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
    """One ground truth as it waits in the buffer. `keys`: values of features, in place of the id."""

    id: str
    value: Any
    time: int
    keys: Mapping[str, Any] | None = None


@dataclass(slots=True)
class Table:
    """Columns of equal length by their names on the wire. `fields` hold values of any type or ABSENT, `texts` text."""

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
        part = slice(start, stop)
        return Table(
            self.ids[part],
            self.times[part],
            {name: values[part] for name, values in self.fields.items()},
            {name: values[part] for name, values in self.texts.items()},
            None if self.durations is None else self.durations[part],
            None if self.lost is None else self.lost[part],
        )

    def where(self, chosen: Sequence[bool]) -> Table:
        """The rows for which `chosen` is true."""
        return Table(
            list(compress(self.ids, chosen)),
            list(compress(self.times, chosen)),
            {name: list(compress(values, chosen)) for name, values in self.fields.items()},
            {name: list(compress(values, chosen)) for name, values in self.texts.items()},
            None if self.durations is None else list(compress(self.durations, chosen)),
            None if self.lost is None else list(compress(self.lost, chosen)),
        )


def from_predictions(rows: Sequence[PredictionRow], segment_features: Sequence[str] = ()) -> Table:
    """A table of single predictions. The value of each of `segment_features` becomes a segment too."""
    # Column by column with zip: several times cheaper than a loop over attributes.
    ids, times, features, predictions, scores, durations, segments, errors, contexts = zip(*rows, strict=True)
    fields = {semconv.COLUMN_PREDICTION: [scalar(value) for value in predictions]}
    fields.update(gather(features, semconv.COLUMN_FEATURE_PREFIX))
    if any(given is not None for given in scores):
        fields.update(gather([given or {} for given in scores], semconv.COLUMN_SCORE_PREFIX))
    texts: dict[str, Texts] = {
        semconv.COLUMN_TRACE_ID: [None if c is None else f"{c[0]:032x}" for c in contexts],
        semconv.COLUMN_SPAN_ID: [None if c is None else f"{c[1]:016x}" for c in contexts],
        semconv.COLUMN_ERROR_TYPE: list(errors),
    }
    texts.update(segment_texts(fields, segment_features))
    if any(segments):
        for name, values in gather([given or {} for given in segments], semconv.COLUMN_SEGMENT_PREFIX).items():
            # What the call says wins over the feature of the same name.
            fallback = texts.get(name) or [None] * len(values)
            texts[name] = [f if v is ABSENT else v for v, f in zip(values, fallback, strict=True)]
    return Table(list(ids), list(times), fields, texts, list(durations), [0] * len(ids))


def from_shadowed(rows: Sequence[tuple[Any, ...]], segment_features: Sequence[str] = ()) -> Table:
    """A table of predictions that each have one more element: what the shadow says of the same features."""
    table = from_predictions([PredictionRow(*row[:-1]) for row in rows], segment_features)
    table.fields[semconv.COLUMN_SHADOW] = [row[-1] for row in rows]
    return table


def from_ground_truths(rows: Sequence[GroundTruthRow]) -> Table:
    """A table of ground truths that all have ids, or all have keys for the same features."""
    ids, values, times, keys = zip(*rows, strict=True)
    fields = {semconv.COLUMN_GROUND_TRUTH: list(values)}
    if keys[0] is not None:
        fields.update(gather(keys, semconv.COLUMN_KEY_PREFIX))
    return Table(list(ids), list(times), fields)


def by_keys(rows: Iterable[GroundTruthRow]) -> list[list[GroundTruthRow]]:
    """Rows that go into one table each."""
    groups: dict[frozenset[str] | None, list[GroundTruthRow]] = {}
    for row in rows:
        keys = row[3]  # rows in a buffer are plain tuples
        groups.setdefault(None if keys is None else frozenset(keys), []).append(row)
    return list(groups.values())


def gather(rows: Sequence[Mapping[Any, Any]], prefix: str) -> dict[str, list[Any]]:
    """A list per key that any of `rows` has, ABSENT where a row lacks it."""
    names: dict[Any, None] = {}
    for row in rows:
        names.update(dict.fromkeys(row))
    return {f"{prefix}{name}": [row.get(name, ABSENT) for row in rows] for name in names}


def segment_texts(fields: Mapping[str, list[Any]], names: Iterable[str]) -> dict[str, Texts]:
    """Segment columns made from the features `names`, as far as they are there."""
    found = ((name, fields.get(semconv.COLUMN_FEATURE_PREFIX + name)) for name in names)
    return {
        semconv.COLUMN_SEGMENT_PREFIX + name: [text(value) for value in values]
        for name, values in found
        if values is not None
    }


def text(value: Any) -> str | None:
    """A segment's value: text as it is, anything else as JSON text, nothing for nothing."""
    if type(value) is str or value is None:
        return value
    return None if value is ABSENT else json_text(value)


def segment_map(segments: Mapping[str, Any] | None) -> dict[str, str | None] | None:
    """What a call gave as segments, as text."""
    return {str(name): text(value) for name, value in segments.items()} if segments else None


def named_scores(scores: Any) -> Mapping[Any, Any]:
    """Scores by class; a plain sequence, such as a row of `predict_proba`, is named by position."""
    if scores is None:
        return {}
    return dict(scores) if isinstance(scores, Mapping) else dict(enumerate(scores))


def scalar(value: Any) -> Any:
    """What `model.predict([one])` meant: the single element of a NumPy array that has just one."""
    item: Callable[[], Any] | None = getattr(value, "item", None)
    return item() if callable(item) and getattr(value, "size", 0) == 1 else value
