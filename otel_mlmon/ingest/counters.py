"""The processor's own counters and histograms, cumulative since its start."""

from __future__ import annotations

import bisect
import threading
from collections.abc import Iterable, Mapping

from otel_mlmon.values import HistogramValue, Point
from otel_mlmon.wire.semconv import DURATION_BUCKETS, MetricName

_Key = tuple[tuple[str, str], ...]


class Counters:
    """Thread-safe. Amounts of one `add` appear together in a snapshot."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: dict[MetricName, dict[_Key, float]] = {}
        self._histograms: dict[MetricName, dict[_Key, tuple[list[int], list[float]]]] = {}

    def add(self, *amounts: tuple[MetricName, float, Mapping[str, str]]) -> None:
        """Add to one or more counters at the same moment."""
        with self._lock:
            for metric, amount, attributes in amounts:
                points = self._numbers.setdefault(metric, {})
                key = tuple(sorted(attributes.items()))
                points[key] = points.get(key, 0) + amount

    def record(self, metric: MetricName, values: Iterable[float], attributes: Mapping[str, str]) -> None:
        """Record values, in seconds, in a histogram."""
        with self._lock:
            key = tuple(sorted(attributes.items()))
            fresh: tuple[list[int], list[float]] = ([0] * (len(DURATION_BUCKETS) + 1), [0.0])
            counts, total = self._histograms.setdefault(metric, {}).setdefault(key, fresh)
            for value in values:
                counts[bisect.bisect_left(DURATION_BUCKETS, value)] += 1
                total[0] += value

    def value(self, metric: MetricName, **attributes: str) -> float:
        """Return the sum of a counter over all points with these attributes."""
        wanted = attributes.items()
        with self._lock:
            return sum(n for key, n in self._numbers.get(metric, {}).items() if wanted <= dict(key).items())

    def snapshot(self) -> list[tuple[MetricName, list[Point]]]:
        """Return all points as of one moment."""
        with self._lock:
            return [
                *((m, [Point(dict(k), number) for k, number in points.items()]) for m, points in self._numbers.items()),
                *((m, [_histogram(k, *counted) for k, counted in of.items()]) for m, of in self._histograms.items()),
            ]


def _histogram(key: _Key, counts: list[int], total: list[float]) -> Point:
    return Point(dict(key), HistogramValue(DURATION_BUCKETS, tuple(counts), total[0]))
