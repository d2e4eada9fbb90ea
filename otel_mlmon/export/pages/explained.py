"""An explanation as the report page shows it. Anything in it may be missing or odd, and nothing here raises."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from otel_mlmon.export.pages import bars, outcomes, revised, timeline
from otel_mlmon.export.pages.wording import number, shown
from otel_mlmon.export.source import HistoryPoint

_SAID = {"present": "as it is", "silent": "the least at which it would have stayed silent"}
_KINDS = {"model_version": "model version", "service_version": "service version", "feature_set": "feature set"}


def sections(
    explanation: Mapping[str, Any] | None, history: Sequence[HistoryPoint], said: Callable[[Any], str] = shown
) -> dict[str, Any]:
    """What the template needs; `history` is drawn where the explanation has none. `said` writes the alert's figure."""
    found = explanation if isinstance(explanation, Mapping) else {}
    what, past = _map(found.get("fired")), _map(found.get("history"))
    events = [_change(one) for one in _maps(_map(found.get("changes")).get("events"))]
    ticks = [point for one in _maps(past.get("ticks")) if (point := _point(one)) is not None]
    return {
        "notes": notes_of(what),
        "where": _where(_map(found.get("where"))),
        "features": _features(_map(found.get("features"))),
        "changes": _map(found.get("changes")) and {**_map(found.get("changes")), "events": events},
        "timeline": timeline.draw(ticks or history, events, said),
        "what_if": [_what_if(one) for one in _maps(past.get("what_if"))],
        "what_if_note": past.get("note"),
        "revisions": _maps(past.get("revisions")),
        "revised": revised.draw(_maps(past.get("revisions")), said),
        "outcomes": _outcomes(_map(found.get("outcomes"))),
        "read_rows": number(found.get("read_rows")),
        "window_rows": number(found.get("window_rows")),
        "unknown": [str(name) for name in _list(found.get("missing"))],
    }


def notes_of(fired: Mapping[str, Any]) -> list[dict[str, str]]:
    """What the figure must be read with: kind and text."""
    return [{key: str(note.get(key)) for key in ("kind", "text")} for note in _maps(fired.get("notes"))]


def fired_of(explanation: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """What fired, by the explanation."""
    return _map(_map(explanation).get("fired"))


def message_of(message: str, explanation: Mapping[str, Any] | None) -> str:
    """A verdict's message without what the notes say."""
    for note in notes_of(_map(_map(explanation).get("fired"))):
        message = message.replace(f"; {note['text']}", "") if note["text"] else message
    return message


def example_rows(explanation: Mapping[str, Any] | None) -> list[Mapping[str, Any]] | None:
    """Predictions to look at, without a column for slices where there are none; None where they could not be found."""
    found = _map(_map(explanation).get("examples"))
    if not found:
        return None
    rows = _maps(found.get("rows"))
    sliced = any(row.get("slice") for row in rows)
    return [{k: v for k, v in row.items() if k != "slice" or sliced} for row in rows]


def _where(found: Mapping[str, Any]) -> dict[str, Any]:
    if not found:
        return {}
    parts = _maps(found.get("slices"))
    whole = {"name": "all of them", "slice": False, **{key: found.get(key) for key in ("rows", "value", "expected")}}
    picture = bars.slices([whole, *parts]) if parts else ""
    named = [{**part, "interval": between(part.get("low"), part.get("high"))} for part in parts]
    return {
        **dict.fromkeys(("measure", "rows", "note", "value", "expected")),
        **found,
        "slices": named,
        "picture": picture,
    }


def _outcomes(found: Mapping[str, Any]) -> dict[str, Any]:
    arrived, how_long = outcomes.arrivals(_maps(found.get("arrived")), found.get("old_enough"))
    ledger, scored = outcomes.ledger(_maps(found.get("ledger")))
    cells = _maps(found.get("confusion"))
    worth = sum((number(one.get("worth")) or 0.0) * (number(one.get("rows")) or 0.0) for one in cells)
    return {
        "arrived": arrived,
        "how_long": how_long,
        "ledger": ledger,
        "scored": scored,
        "confusion": outcomes.confusion(cells),
        "rows": sum(number(one.get("rows")) or 0.0 for one in cells),
        "worth": worth if any(number(one.get("worth")) is not None for one in cells) else None,
    }


def _features(found: Mapping[str, Any]) -> dict[str, Any]:
    if not found:
        return {}
    ranking = [one for one in _maps(found.get("ranking")) if (number(one.get("score")) or 0.0) > 0]
    return {"note": found.get("note"), "picture": bars.ranking(ranking)}


def _change(one: Mapping[str, Any]) -> dict[str, Any]:
    kind, value, text = str(one.get("kind")), str(one.get("value")), str(one.get("text") or "")
    return {
        "time": one.get("time"),
        "before": one.get("before"),
        "kind": _KINDS.get(kind, kind),
        "text": text
        if kind == "feature_set" and text
        else " ".join(filter(None, (value, f"({text})" if text else ""))),
    }


def _what_if(one: Mapping[str, Any]) -> dict[str, Any]:
    figures = {key: number(one.get(key)) for key in ("threshold", "episodes", "firing", "since")}
    return {"said": _SAID.get(str(one.get("kind")), ""), "present": one.get("kind") == "present", **figures}


def _point(one: Mapping[str, Any]) -> HistoryPoint | None:
    end = number(one.get("end"))
    if end is None:
        return None
    value, threshold, low, high = (number(one.get(key)) for key in ("value", "threshold", "low", "high"))
    at = one["end"] if isinstance(one["end"], int) else int(end)  # a float is not exact to the ns
    return HistoryPoint(at, value, threshold, str(one.get("status")), low, high)  # type: ignore[arg-type]


def between(low: Any, high: Any, said: Callable[[Any], str] = shown) -> str:
    """An interval in words; "" where it is not known."""
    known = number(low), number(high)
    return "" if None in known else f"{said(low)} to {said(high)}"


def _map(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}


def _maps(found: Any) -> list[Mapping[str, Any]]:
    return [one for one in _list(found) if isinstance(one, Mapping)]


def _list(found: Any) -> list[Any]:
    return list(found) if isinstance(found, (list, tuple)) else []
