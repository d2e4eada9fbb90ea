"""Prepare an explanation for the report page: pictures, and the texts of changes and thresholds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from markupsafe import Markup

from otel_mlmon.export.pages import bars, ground_truth, revised, timeline
from otel_mlmon.export.pages.wording import number, shown
from otel_mlmon.values.explanation import Change, Explanation, Fired, PastVerdict

NOT_EXPLAINED: Final = Explanation(
    alert="",
    group="",
    rule="",
    check="",
    method="",
    model="",
    version="",
    segment="",
    field="",
    fired=None,
    where=None,
    features=None,
    changes=None,
    examples=None,
    history=None,
)
WHAT_IF: Final[Mapping[str, str]] = {
    "present": "present threshold",
    "other": "",
    "silent": "nearest threshold without an alert",
}
_KINDS: Final = {
    "model_version": "model version",
    "service_version": "service version",
    "feature_set": "feature set",
}


class ChangeLine(NamedTuple):
    """A change as the page lists it; `before` is the time to the first breach, ns."""

    time: int
    before: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Pictures:
    """The pictures of an explanation; each is empty where there is nothing to draw. `*_text` are captions."""

    slices: Markup
    features: Markup
    timeline: Markup
    revisions: Markup
    confusion: Markup
    arrivals: Markup
    arrivals_text: str
    ledger: Markup
    ledger_text: str


def draw(
    explanation: Explanation, history: Sequence[PastVerdict], write: Callable[[Any], str] = shown
) -> tuple[Pictures, list[ChangeLine]]:
    """Return pictures and changes; `history` is drawn if the explanation has none. `write` formats the value."""
    changes = [change_line(change) for change in (explanation.changes.events if explanation.changes else ())]
    past, outcomes = explanation.history, explanation.outcomes
    arrivals, arrivals_text = ground_truth.arrivals(outcomes) if outcomes else (Markup(""), "")
    ledger, ledger_text = ground_truth.ledger(outcomes.ledger) if outcomes else (Markup(""), "")
    pictures = Pictures(
        slices=bars.slices(explanation.where) if explanation.where else Markup(""),
        features=bars.ranking(explanation.features.ranking) if explanation.features else Markup(""),
        timeline=timeline.draw((past.ticks if past else ()) or history, changes, write),
        revisions=revised.draw(past.revisions, write) if past else Markup(""),
        confusion=ground_truth.confusion(outcomes.confusion) if outcomes else Markup(""),
        arrivals=arrivals,
        arrivals_text=arrivals_text,
        ledger=ledger,
        ledger_text=ledger_text,
    )
    return pictures, changes


def change_line(change: Change) -> ChangeLine:
    """Return the change with its kind and text for people."""
    text = " ".join(filter(None, (change.value, f"({change.text})" if change.text else "")))
    if change.kind == "feature_set" and change.text:
        text = change.text
    return ChangeLine(change.time, change.before, _KINDS.get(change.kind, change.kind), text)


def message_of(message: str, fired: Fired | None) -> str:
    """Return a verdict's message without the texts that the notes repeat."""
    for note in fired.notes if fired else ():
        message = message.replace(f"; {note.text}", "") if note.text else message
    return message


def example_rows(explanation: Explanation) -> list[Mapping[str, Any]] | None:
    """Return example predictions, with a column for slices only if a row has one; None if there are no examples."""
    if explanation.examples is None:
        return None
    rows = explanation.examples.rows
    sliced = any(row.get("slice") for row in rows)
    return [{k: v for k, v in row.items() if k != "slice" or sliced} for row in rows]


def business_value(explanation: Explanation) -> float | None:
    """Return the value of all predictions in the confusion matrix; None for a rule without values."""
    cells = explanation.outcomes.confusion if explanation.outcomes else ()
    if all(number(cell.worth) is None for cell in cells):
        return None
    return sum((number(cell.worth) or 0.0) * (number(cell.rows) or 0.0) for cell in cells)


def between(low: float | None, high: float | None, write: Callable[[Any], str] = shown) -> str:
    """Return an interval in words; "" where it is not known."""
    known = number(low), number(high)
    return "" if None in known else f"{write(low)} to {write(high)}"
