"""Write an explanation as a few lines of plain text, for chat, tickets and mail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from otel_mlmon.cli.explained import length_of, time_of, writer
from otel_mlmon.export.measures import measured
from otel_mlmon.values.explanation import Change, Explanation, Part

_MOST: Final = 5


def brief(explanation: Explanation, page: str) -> str:
    """Return the six answers, a line each; a part that is missing has none."""
    return "\n".join(_lines(explanation, page))


def _lines(explanation: Explanation, page: str) -> Iterator[str]:
    write, fired = writer(explanation), explanation.fired
    names = (explanation.model, explanation.version, explanation.field, explanation.segment)
    since = f" since {time_of(fired.since)} UTC" if fired and fired.since else ""
    phase = fired.phase if fired else "could not be determined"
    yield f"{explanation.rule} ({' '.join(filter(None, names))}): {phase}{since}"
    if fired:
        value, limit = write(fired.result.value), f"the limit {write(fired.result.threshold)}"
        yield f"{measured(explanation.check, explanation.method)} is {value}, {limit}: {fired.result.message}"
    slices = [f"{part.name} ({_slice(part)})" for part in (explanation.where.slices if explanation.where else ())]
    if slices:
        yield f"where: {_some(slices)}"
    ranking = explanation.features.ranking if explanation.features else ()
    drifted = [f"{feature.feature} ({feature.change})" for feature in ranking if feature.score > 0]
    if drifted:
        yield f"drifted: {_some(drifted)}"
    if explanation.changes:
        changed = [f"{_event(one)}, {length_of(one.before)} before" for one in explanation.changes.events]
        yield f"changed just before: {_some(changed) if changed else 'nothing was seen'}"
    examples = [
        " ".join(filter(None, (str(row["prediction_id"]), f"trace {row['trace_id']}" if row.get("trace_id") else "")))
        for row in (explanation.examples.rows if explanation.examples else ())
    ]
    if examples:
        yield f"look at: {_some(examples)}"
    for row in explanation.history.what_if if explanation.history else ():
        if row.kind == "silent":
            yield f"silent with a limit of {write(row.threshold)}"
    yield page


def _event(change: Change) -> str:
    kind, value, text = change.kind.replace("_", " "), change.value, change.text
    if change.kind == "feature_set" and text:
        return f"{kind}: {text}"
    return f"{kind} {value} ({text})" if text else f"{kind} {value}"


def _slice(part: Part) -> str:
    expected = "" if part.expected is None else f", expected {part.expected:.4g}"
    return "" if part.value is None else f"{part.value:.4g}{expected}, {part.rows} rows"


def _some(texts: Sequence[str]) -> str:
    rest = len(texts) - _MOST
    return "; ".join(texts[:_MOST]) + (f"; and {rest} more" if rest > 0 else "")
