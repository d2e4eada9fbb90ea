"""An explanation in a few lines of plain text, for chat, tickets and mail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from otel_mlmon.cli.explained import figure_of, length_of, time_of
from otel_mlmon.export.measures import measured

Found = Mapping[str, Any]
_MOST: Final = 5


def brief(found: Found, page: str) -> str:
    """The six answers, a line each; what could not be found out has none."""
    return "\n".join(_lines(found, page))


def _lines(found: Found, page: str) -> Iterator[str]:
    said = figure_of(found)
    about = " ".join(filter(None, (found["model"], found["version"], found["field"], found["segment"])))
    fired = found["fired"] or {}
    yield f"{found['rule']} ({about}): {fired.get('phase', 'not found out')}" + (
        f" since {time_of(fired['since'])} UTC" if fired.get("since") else ""
    )
    if fired:
        yield f"{measured(found['check'], found['method'])} is {said(fired['value'])}, the limit {said(fired['threshold'])}: {fired['message']}"
    where = found["where"] or {}
    slices = [f"{one['name']} ({_slice(one)})" for one in where.get("slices", ())]
    if slices:
        yield f"where: {_some(slices)}"
    ranking = (found["features"] or {}).get("ranking", ())
    moved = [f"{one['feature']} ({one['change']})" for one in ranking if one["score"] > 0]
    if moved:
        yield f"moved: {_some(moved)}"
    if found["changes"]:
        changed = [f"{_event(one)}, {length_of(one['before'])} before" for one in found["changes"]["events"]]
        yield f"changed just before: {_some(changed) if changed else 'nothing that was seen'}"
    rows = (found["examples"] or {}).get("rows", ())
    looked = [
        " ".join(filter(None, (str(row["prediction_id"]), f"trace {row['trace_id']}" if row.get("trace_id") else "")))
        for row in rows
    ]
    if looked:
        yield f"look at: {_some(looked)}"
    for one in (found["history"] or {}).get("what_if", ()):
        if one["kind"] == "silent":
            yield f"silent with a limit of {said(one['threshold'])}"
    yield page


def _event(one: Found) -> str:
    kind, value, text = one["kind"].replace("_", " "), one["value"], one["text"]
    if one["kind"] == "feature_set" and text:
        return f"{kind}: {text}"
    return f"{kind} {value} ({text})" if text else f"{kind} {value}"


def _slice(one: Found) -> str:
    expected = "" if one["expected"] is None else f", expected {one['expected']:.4g}"
    return "" if one["value"] is None else f"{one['value']:.4g}{expected}, {one['rows']} rows"


def _some(texts: Sequence[str]) -> str:
    rest = len(texts) - _MOST
    return "; ".join(texts[:_MOST]) + (f"; and {rest} more" if rest > 0 else "")
