"""The report page of an alert: what is behind it, in the order in which a person asks."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from otel_mlmon.export.measures import is_share, measured
from otel_mlmon.export.pages import distributions, explained, svg
from otel_mlmon.export.pages.wording import as_share, environment, number, shown
from otel_mlmon.export.plain import plain
from otel_mlmon.export.source import HistoryPoint
from otel_mlmon.values import Alert
from otel_mlmon.values.alert_documents import verdict_to_document
from otel_mlmon.values.evidence import (
    BudgetEvidence,
    Evidence,
    FairnessEvidence,
    FieldEvidence,
    Line,
    ParityEvidence,
    SchemaEvidence,
    SliceEvidence,
)

_EXAMPLE_COLUMNS = ("slice", "prediction_id", "time", "value", "prediction", "shadow", "ground_truth", "trace_id")
_FIGURES = ("value", "low", "high", "threshold", "p_value", "q_value", "rows", "reference_rows", "coverage", "maturity", "start",
            "end", "message")  # fmt: skip
_MOST_COLUMNS = 12
_LONG_NUMBER = re.compile(r"-?\d{1,12}\.\d{4,}(e-?\d{1,2})?")
_MOST_ROWS = 200


def report_page(
    alert: Alert,
    history: Sequence[HistoryPoint],
    examples: Sequence[Mapping[str, Any]],
    missing: Sequence[str] = (),
    *,
    explanation: Mapping[str, Any] | None = None,
    waiting: bool = False,
    cause: Alert | None = None,
    follow: Sequence[Alert] = (),
) -> str:
    """`explanation` is as `AlertSource` gives it; `waiting` says that it is still being found out. `history` and `examples` are what
    there is without it. `missing` names the parts that could not be read. `cause` explains this alert, and this one `follow`.
    """
    said = as_share if is_share(alert.check, alert.method) else shown
    judged = _judged(alert, explanation)
    evidence = alert.verdict.result.evidence
    picture, caption = distributions.draw(evidence.distribution if isinstance(evidence, FieldEvidence) else None)
    found = explained.example_rows(explanation)
    rows = [_example(row) for row in (examples if found is None else found) if isinstance(row, Mapping)]
    return environment.get_template("report.html").render(
        root="..",
        alert=alert,
        verdict=alert.verdict,
        target=alert.target,
        state=alert.state,
        cause=cause,
        follow=follow,
        measured=measured(alert.check, alert.method),
        judged=judged,
        value=said(judged["value"]),
        threshold=said(judged["threshold"]),
        headline=alert.annotations.get("summary") or _headline(alert),
        annotations={k: v for k, v in alert.annotations.items() if k not in {"summary", "description"} and v},
        times_limit=_times(judged["value"], judged["threshold"])
        if alert.verdict.result.status == "breach" or judged["old"]
        else "",
        picture=picture,
        caption=caption,
        numbers=_numbers(_lines_of(evidence)),
        segments=_segments_of(evidence),
        budget=_budget(evidence) if isinstance(evidence, BudgetEvidence) else {},
        further=_further(evidence),
        rule={str(k): _short(v) for k, v in alert.configured.items()},
        interval=explained.between(judged["low"], judged["high"], said),
        message=explained.message_of(str(judged["message"] or ""), explanation),
        newest=explained.message_of(alert.verdict.result.message, explanation),
        waiting=waiting,
        coverage=svg.percent(covered) if (covered := number(judged["coverage"])) is not None else "",
        maturity=judged["maturity"] or "provisional",
        explained=explained.sections(explanation, history, said),
        said=said,
        examples=rows,
        columns=_columns(rows, bool(alert.target.field)),
        missing=missing,
        sql=_sql(alert),
    )


def _judged(alert: Alert, explanation: Mapping[str, Any] | None) -> dict[str, Any]:
    """The figures of the breach that the page is about: `old` where that is not the newest verdict."""
    verdict = alert.verdict
    figures = verdict_to_document(verdict)
    found = {name: figures[name] for name in _FIGURES}
    fired = explained.fired_of(explanation)
    if verdict.result.status == "breach" or number(fired.get("value")) is None:
        return {**found, "old": False}
    old = any(fired.get(name) != found[name] for name in ("start", "end", "value"))
    return {**found, **{name: fired.get(name) for name in _FIGURES if old}, "old": old}


def _headline(alert: Alert) -> str:
    target = alert.target
    about = f", {target.field}" if target.field else ""
    where = f", in {target.segment}" if target.segment else ""
    return f"{alert.rule}: {measured(alert.check, alert.method)}{about}{where}"


def _budget(evidence: BudgetEvidence) -> dict[str, Any]:
    """How much of an error budget is left, and how fast it burns; {} without windows."""
    if not evidence.windows:
        return {}
    left, over = number(evidence.left), shown(evidence.over)
    used = left is not None and left < 0
    said = f"The budget for {over} is used up" if used else f"{as_share(left)} of the budget for {over} is left"
    text = f"{said}: {as_share(1 - (left or 0.0))} of it is gone." if used else f"{said}."
    return {"said": text, "lines": evidence.windows}


def _times(value: float | None, threshold: float | None) -> str:
    """How far beyond the limit, as a factor; "" where that says nothing."""
    much, limit = number(value), number(threshold)
    if much is None or limit is None or limit <= 0 or much <= limit:
        return ""
    return f"{much / limit:.1f} × the limit" if much / limit < 1000 else "far beyond the limit"


def _lines_of(evidence: Evidence | None) -> Sequence[Line]:
    if evidence is None or isinstance(evidence, (FairnessEvidence, SliceEvidence, BudgetEvidence)):
        return ()
    return evidence.numbers[:_MOST_ROWS]


def _segments_of(evidence: Evidence | None) -> list[tuple[str, float | None, int]]:
    if not isinstance(evidence, (FieldEvidence, FairnessEvidence)):
        return []
    return [(one.segment, one.value, one.rows) for one in evidence.segments[:_MOST_ROWS]]


def _further(evidence: Evidence | None) -> dict[str, str]:
    if isinstance(evidence, SchemaEvidence):
        return {"fields": _short(evidence.fields)}
    return {"relation": _short(evidence.relation)} if isinstance(evidence, ParityEvidence) and evidence.relation else {}


def _numbers(lines: Sequence[Line]) -> list[tuple[str, str, str]]:
    """Name, reference, window; counts with their share of the rows, since the two have different numbers of rows."""
    totals = next((line for line in lines if line.name == "rows"), Line("rows", None, None))
    return [
        (line.name, *(_with_share(line[side], None if line is totals else totals[side]) for side in (1, 2)))  # type: ignore[misc]
        for line in lines
    ]


def _with_share(value: Any, total: Any) -> str:
    counts = isinstance(value, int) and isinstance(total, int) and not isinstance(value, bool)
    if not counts or not 0 <= value <= total or total == 0:
        return shown(value)
    return f"{shown(value)} ({svg.percent(value / total)})"


def _columns(rows: Sequence[Mapping[str, Any]], of_field: bool) -> list[str]:
    """Known columns first, then whatever else the rows hold; a value is that of the alert's field."""
    sometimes = {"value": of_field, **{name: any(name in row for row in rows) for name in ("slice", "shadow")}}
    known = [name for name in _EXAMPLE_COLUMNS if sometimes.get(name, True)]
    others = dict.fromkeys(str(key) for row in rows for key in row if key not in _EXAMPLE_COLUMNS)
    return [*known, *others][:_MOST_COLUMNS]


def _example(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with outcomes as people read them: a number may have come as text, with all its digits."""
    shorter = dict(row)
    for name in ("prediction", "ground_truth"):
        if isinstance(text := row.get(name), str) and _LONG_NUMBER.fullmatch(text):
            shorter[name] = float(text)
    return shorter


def _short(value: Any) -> str:
    if isinstance(value, (str, int, float)) or value is None:
        return svg.cut(shown(value), 400)
    return svg.cut(json.dumps(plain(value), ensure_ascii=False), 400)


def _sql(alert: Alert) -> str:
    table = alert.target.model.replace('"', '""')
    version = alert.target.version.replace("'", "''")
    start, end = alert.verdict.start, alert.verdict.end
    if alert.verdict.result.status != "breach" and alert.state.last_breach:  # the evidence is older than the verdict
        start, end = alert.state.last_breach - (end - start), alert.state.last_breach
    return (
        f"SELECT * FROM predictions.\"{table}\"\nWHERE _version = '{version}' AND _time >= {start} AND _time < {end};"
    )
