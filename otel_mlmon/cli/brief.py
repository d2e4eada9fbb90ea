"""An explanation in a few lines of plain text, for chat, tickets and mail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from otel_mlmon.cli.explained import figure_of, length_of, time_of
from otel_mlmon.export.measures import measured
from otel_mlmon.values.explanation import Change, Explanation, Part

_MOST: Final = 5


def brief(found: Explanation, page: str) -> str:
    """Return the six answers, a line each; a part that is missing has none."""
    return "\n".join(_lines(found, page))


def _lines(found: Explanation, page: str) -> Iterator[str]:
    said = figure_of(found)
    about = " ".join(filter(None, (found.model, found.version, found.field, found.segment)))
    fired = found.fired
    since = f" since {time_of(fired.since)} UTC" if fired and fired.since else ""
    yield f"{found.rule} ({about}): {fired.phase if fired else 'not found out'}{since}"
    if fired:
        limit = f"the limit {said(fired.threshold)}"
        yield f"{measured(found.check, found.method)} is {said(fired.value)}, {limit}: {fired.message}"
    slices = [f"{part.name} ({_slice(part)})" for part in (found.where.slices if found.where else ())]
    if slices:
        yield f"where: {_some(slices)}"
    ranking = found.features.ranking if found.features else ()
    moved = [f"{one.feature} ({one.change})" for one in ranking if one.score > 0]
    if moved:
        yield f"moved: {_some(moved)}"
    if found.changes:
        changed = [f"{_event(one)}, {length_of(one.before)} before" for one in found.changes.events]
        yield f"changed just before: {_some(changed) if changed else 'nothing that was seen'}"
    looked = [
        " ".join(filter(None, (str(row["prediction_id"]), f"trace {row['trace_id']}" if row.get("trace_id") else "")))
        for row in (found.examples.rows if found.examples else ())
    ]
    if looked:
        yield f"look at: {_some(looked)}"
    for one in found.history.what_if if found.history else ():
        if one.kind == "silent":
            yield f"silent with a limit of {said(one.threshold)}"
    yield page


def _event(one: Change) -> str:
    kind, value, text = one.kind.replace("_", " "), one.value, one.text
    if one.kind == "feature_set" and text:
        return f"{kind}: {text}"
    return f"{kind} {value} ({text})" if text else f"{kind} {value}"


def _slice(one: Part) -> str:
    expected = "" if one.expected is None else f", expected {one.expected:.4g}"
    return "" if one.value is None else f"{one.value:.4g}{expected}, {one.rows} rows"


def _some(texts: Sequence[str]) -> str:
    rest = len(texts) - _MOST
    return "; ".join(texts[:_MOST]) + (f"; and {rest} more" if rest > 0 else "")
