"""Explain an alert: put the six answers together. A part that fails is listed as failed; the other parts are kept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from otel_mlmon.diagnosis.examples import examples
from otel_mlmon.diagnosis.features import features
from otel_mlmon.diagnosis.fired import fired, notes
from otel_mlmon.diagnosis.ground_truth import CHECKS, ground_truth
from otel_mlmon.diagnosis.history import MOST_VERDICTS, first_breach, history
from otel_mlmon.diagnosis.subject import Subject, Unknown, WindowSample, read
from otel_mlmon.diagnosis.where import Located, where
from otel_mlmon.values import ChangeEvent
from otel_mlmon.values.explanation import Change, Changes, Explanation, Features, History
from otel_mlmon.values.storage import Storage

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_DAY: Final = 86_400 * 10**9
_MOST_READ: Final = 200  # changes
_MOST_SHOWN: Final = 50


@dataclass(frozen=True, slots=True)
class Limits:
    """No part begins later than `seconds` after the start, by `clock` (s). `seed` draws the sample of rows."""

    clock: Callable[[], float]
    seconds: float = 8.0
    seed: int = 0


@dataclass(slots=True)
class _Parts:
    """Compute one part after the other."""

    limits: Limits
    end: float
    missing: list[str] = field(default_factory=list)

    def compute(self, name: str, part: Callable[[], _T]) -> _T | None:
        if self.limits.clock() > self.end:
            self.missing.append(f"{name} (out of time)")
            return None
        try:
            return part()
        except Unknown as error:
            self.missing.append(f"{name}: {error}")
        except Exception as error:  # the other parts are kept after any failure
            _log.exception("%s cannot be determined", name)
            self.missing.append(f"{name} ({type(error).__name__})")
        return None


def explain(subject: Subject, past: Storage, limits: Limits) -> Explanation:
    """Explain one alert. Cheap parts come first, so that they are present when time runs out."""
    alert, target = subject.alert, subject.alert.target
    parts = _Parts(limits, limits.clock() + limits.seconds)
    what_fired = parts.compute("what fired", lambda: fired(alert, subject.rule))
    verdicts = parts.compute("the rule's history", lambda: _history(subject, past))
    changed = parts.compute("changes", lambda: _changes(subject, past, verdicts))
    sample = parts.compute("features and slices", lambda: read(subject, past.rows.read, limits.seed))
    truth = parts.compute("outcomes", lambda: ground_truth(subject, sample))
    drift: Features | None = None
    located: Located | None = None
    if sample is not None:
        drift = parts.compute("features", lambda: _features(subject, sample))
        located = parts.compute("slices", lambda: where(subject, sample))
    chosen = parts.compute("example predictions", lambda: examples(subject, sample, located, past.rows.examples))
    if what_fired is not None and sample is not None:
        caveats = parts.compute("selection and kind of shift", lambda: notes(subject, sample, limits.seed))
        what_fired = replace(what_fired, notes=tuple(caveats or ()))
    return Explanation(
        alert=alert.id,
        group=alert.group,
        rule=alert.rule,
        check=alert.check,
        method=alert.method,
        model=target.model,
        version=target.version,
        segment=target.segment,
        field=target.field,
        fired=what_fired,
        where=located.where if located else None,
        features=drift,
        changes=changed,
        examples=chosen,
        history=verdicts,
        outcomes=truth,
        read_rows=len(sample.rows) if sample else 0,
        window_rows=_window_rows(subject, sample),
        missing=tuple(parts.missing),
    )


def _window_rows(subject: Subject, sample: WindowSample | None) -> int:
    """Return the size of the window; the known size is that of all segments together."""
    whole = 0 if subject.alert.target.segment else subject.predictions
    return max(whole, sample.window_rows) if sample else whole


def _history(subject: Subject, past: Storage) -> History:
    alert = subject.alert
    revisions = past.documents.revisions(alert.id) if alert.check in CHECKS else []
    verdicts = past.documents.verdicts(alert.id, MOST_VERDICTS)
    return history(verdicts, revisions, subject.rule, alert.method, subject.end)


def _features(subject: Subject, sample: WindowSample) -> Features | None:
    if subject.reference is None:
        raise Unknown("there is no reference to compare with")
    return features(sample, subject.reference, subject.alert.target.segment)


def _changes(subject: Subject, past: Storage, verdicts: History | None) -> Changes:
    """Return the changes in the last two windows, or in the last day if that is longer, up to the first breach."""
    ticks = verdicts.ticks if verdicts else ()
    end = first_breach(ticks, subject.alert.state.since, subject.end) or subject.end
    start = end - max(2 * (subject.end - subject.start), _DAY)
    return changes(past.changes(subject.alert.target.model, start, end + 1, _MOST_READ), start, end)


def changes(events: Iterable[ChangeEvent], start: int, end: int) -> Changes:
    """Return the events in [start, end], the newest first."""
    inside = sorted((event for event in events if start <= event.time <= end), key=lambda event: -event.time)
    shown = [
        Change(event.time, end - event.time, event.kind, event.value, event.text) for event in inside[:_MOST_SHOWN]
    ]
    return Changes(start, end, tuple(shown))
