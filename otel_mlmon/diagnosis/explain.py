"""The six answers put together. What one of them cannot be found out for is named, and the others still stand."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from otel_mlmon.diagnosis.changes import changes, span
from otel_mlmon.diagnosis.examples import examples
from otel_mlmon.diagnosis.features import features
from otel_mlmon.diagnosis.fired import fired
from otel_mlmon.diagnosis.history import MOST, first_breach, history
from otel_mlmon.diagnosis.notes import notes
from otel_mlmon.diagnosis.outcomes import outcomes
from otel_mlmon.diagnosis.subject import Evidence, Subject, Unknown, read
from otel_mlmon.diagnosis.where import Found, where
from otel_mlmon.values.explanation import Changes, Explanation, Features, History
from otel_mlmon.values.storage import Storage

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_MOST_CHANGES = 200


@dataclass(frozen=True, slots=True)
class Limits:
    """No part is begun later than `seconds` of `clock` after the start. `seed` draws the rows that are looked at."""

    clock: Callable[[], float]
    seconds: float = 8.0
    seed: int = 0


@dataclass(slots=True)
class _Parts:
    """Finds out one part after the other."""

    limits: Limits
    end: float
    missing: list[str] = field(default_factory=list)

    def find(self, name: str, compute: Callable[[], _T]) -> _T | None:
        if self.limits.clock() > self.end:
            self.missing.append(f"{name} (out of time)")
            return None
        try:
            return compute()
        except Unknown as error:
            self.missing.append(f"{name}: {error}")
            return None
        except Exception as error:  # whatever it is; the other parts are needed all the more
            _log.exception("%s cannot be found out", name)
            self.missing.append(f"{name} ({type(error).__name__})")
            return None


def explain(subject: Subject, past: Storage, limits: Limits) -> Explanation:
    """All about one alert. What costs little is found out first, so that it is there when time runs out."""
    alert, target = subject.alert, subject.alert.target
    parts = _Parts(limits, limits.clock() + limits.seconds)
    what = parts.find("what fired", lambda: fired(alert, subject.rule))
    then = parts.find("the rule's history", lambda: _history(subject, past))
    changed = parts.find("changes", lambda: _changes(subject, past, then))
    evidence = parts.find("features and slices", lambda: read(subject, past.rows.read, limits.seed))
    came = parts.find("outcomes", lambda: outcomes(subject, evidence))
    moved: Features | None = None
    found: Found | None = None
    if evidence is not None:
        moved = parts.find("features", lambda: _features(subject, evidence))
        found = parts.find("slices", lambda: where(subject, evidence))
    chosen = parts.find(
        "example predictions",
        lambda: examples(
            subject, evidence, found.losses if found else None, found.slices if found else (), past.rows.examples
        ),
    )
    if what is not None and evidence is not None:
        said = parts.find("selection and kind of shift", lambda: notes(subject, evidence, limits.seed))
        what = replace(what, notes=tuple(said or ()))
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
        fired=what,
        where=found.where if found else None,
        features=moved,
        changes=changed,
        examples=chosen,
        history=then,
        outcomes=came,
        read_rows=len(evidence.rows) if evidence else 0,
        window_rows=_window_rows(subject, evidence),
        missing=tuple(parts.missing),
    )


def _window_rows(subject: Subject, evidence: Evidence | None) -> int:
    """What is known of a window's size is that of all segments together."""
    whole = 0 if subject.alert.target.segment else subject.predictions
    return max(whole, evidence.window_rows) if evidence else whole


def _history(subject: Subject, past: Storage) -> History:
    alert = subject.alert
    judged = alert.check in ("performance", "fairness", "slices", "budget", "estimate")
    revised = past.documents.revisions(alert.id) if judged else []
    return history(past.documents.verdicts(alert.id, MOST), revised, subject.rule, alert.method, subject.end)


def _changes(subject: Subject, past: Storage, then: History | None) -> Changes:
    window = subject.end - subject.start
    began = first_breach(then.ticks if then else (), subject.alert.state.since, subject.end) or subject.end
    start, end = span(began, window)
    return changes(past.changes(subject.alert.target.model, start, end + 1, _MOST_CHANGES), start, end)


def _features(subject: Subject, evidence: Evidence) -> Features | None:
    if subject.reference is None:
        raise Unknown("there is no reference to compare with")
    return features(evidence, subject.reference, subject.alert.target.segment)
