"""The SDK's counts of itself: the flush thread increments them, observable counters read them.

No histogram is recorded here: `Histogram.record` takes 14 µs a call. The duration of a prediction is sent in its row,
and the processor makes the histogram from it.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

from otel_mlmon.wire import semconv


class Ledger:
    """Predictions made and rows dropped in this process, by model."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Start from zero; in a forked child, the old counts are the parent's."""
        self._lock = threading.Lock()
        self._predictions: Counter[tuple[str, str, str]] = Counter()
        self._dropped: Counter[tuple[str, str]] = Counter()
        self._unreported: Counter[tuple[str, str]] = Counter()
        self._missed: Counter[tuple[str, str]] = Counter()

    def made(self, model: str, model_version: str, by_error: Mapping[str | None, int]) -> None:
        """Count predictions, by the type of the error that ended them (None: no error)."""
        with self._lock:
            for error_type, number in by_error.items():
                self._predictions[model, model_version, error_type or ""] += number

    def drop(self, model: str, event: str, reason: str, rows: int) -> None:
        """Count rows that will never arrive; the next batch of this model and event reports the number."""
        with self._lock:
            self._dropped[model, reason] += rows
            self._unreported[model, event] += rows

    def miss(self, model: str, reason: str) -> None:
        """Count a prediction that is sent without its shadow; the prediction itself is complete."""
        with self._lock:
            self._missed[model, reason] += 1

    def missed(self) -> dict[tuple[str, str], int]:
        """Predictions sent without their shadow, by (model, reason)."""
        with self._lock:
            return dict(self._missed)

    def report_again(self, model: str, event: str, rows: int) -> None:
        """Report `rows` in the next batch again: the batch that reported them as dropped was lost."""
        with self._lock:
            self._unreported[model, event] += rows

    def take_unreported(self, model: str, event: str) -> int:
        """Return the number of dropped rows that no batch has reported; the caller must report them."""
        with self._lock:
            return self._unreported.pop((model, event), 0)

    def dropped(self) -> dict[tuple[str, str], int]:
        """Rows dropped by (model, reason)."""
        with self._lock:
            return dict(self._dropped)

    def predictions(self) -> dict[tuple[str, str, str], int]:
        """Predictions by (model, version, error type or "")."""
        with self._lock:
            return dict(self._predictions)


LEDGER: Final = Ledger()
os.register_at_fork(after_in_child=LEDGER.renew)
_observed: Final[weakref.WeakSet[MeterProvider]] = weakref.WeakSet()


def observe(provider: MeterProvider | None) -> None:
    """Let `provider` (None: the global one) read the ledger; once per provider, for all models."""
    meters = provider or metrics.get_meter_provider()
    if meters in _observed:
        return
    _observed.add(meters)
    meter = metrics.get_meter(semconv.SCOPE_NAME, package_version(), provider, semconv.SCHEMA_URL)
    for name, callback in (
        (semconv.PREDICTIONS, _predictions),
        (semconv.SDK_DROPPED, lambda _: _by_reason(LEDGER.dropped())),
        (semconv.SDK_SHADOW_MISSED, lambda _: _by_reason(LEDGER.missed())),
    ):
        meter.create_observable_counter(name.name, [callback], name.unit, name.description)


def _predictions(_: CallbackOptions) -> Iterable[Observation]:
    for (model, model_version, error_type), number in LEDGER.predictions().items():
        attributes = {semconv.MODEL_NAME: model, semconv.MODEL_VERSION: model_version}
        if error_type:
            attributes[semconv.ERROR_TYPE] = error_type
        yield Observation(number, attributes)


def _by_reason(counts: Mapping[tuple[str, str], int]) -> Iterable[Observation]:
    for (model, reason), number in counts.items():
        yield Observation(number, {semconv.MODEL_NAME: model, semconv.REASON: reason})


@cache
def package_version() -> str:
    """Version of this package, for the instrumentation scope."""
    try:
        return version("otel-mlmon")
    except PackageNotFoundError:  # run from a source tree
        return "0"
