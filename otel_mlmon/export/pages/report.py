"""The report page of an alert: the evidence, in the order in which a person asks for it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otel_mlmon.export.measures import is_share, measured
from otel_mlmon.export.pages import distributions, explained, svg
from otel_mlmon.export.pages.wording import as_share, environment, number, shown
from otel_mlmon.export.plain import plain
from otel_mlmon.values import Alert, Verdict
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
from otel_mlmon.values.explanation import Explanation, Fired, PastVerdict

_EXAMPLE_COLUMNS = ("slice", "prediction_id", "time", "value", "prediction", "shadow", "ground_truth", "trace_id")
_MOST_COLUMNS = 12
_LONG_NUMBER = re.compile(r"-?\d{1,12}\.\d{4,}(e-?\d{1,2})?")
_MOST_ROWS = 200


@dataclass(frozen=True, slots=True)
class Report:
    """The data of a report page.

    `explanation` is None while it is computed (`waiting`) and if it failed; then `history` and `examples` stand in for
    it. `missing` names the parts that could not be read. `cause` explains the alert, which explains the alerts of
    `follow`.
    """

    alert: Alert
    history: Sequence[PastVerdict] = ()
    examples: Sequence[Mapping[str, Any]] = ()
    explanation: Explanation | None = None
    waiting: bool = False
    missing: Sequence[str] = ()
    cause: Alert | None = None
    follow: Sequence[Alert] = ()


def report_page(report: Report) -> str:
    """Return the page as HTML."""
    alert, why = report.alert, report.explanation or explained.NOT_EXPLAINED
    write = as_share if is_share(alert.check, alert.method) else shown
    decisive = _decisive(alert.verdict, why.fired)
    result, older = decisive.result, decisive is not alert.verdict
    breach = alert.verdict.result.status == "breach" or older
    pictures, changes = explained.draw(why, report.history, write)
    explained_rows = explained.example_rows(why)
    rows = [_example(row) for row in (report.examples if explained_rows is None else explained_rows)]
    return environment.get_template("report.html").render(
        root="..",
        report=report,
        alert=alert,
        verdict=alert.verdict,
        target=alert.target,
        state=alert.state,
        measured=measured(alert.check, alert.method),
        decisive=decisive,
        older=older,
        write=write,
        headline=alert.annotations.get("summary") or _headline(alert),
        message=explained.message_of(result.message, why.fired),
        newest=explained.message_of(alert.verdict.result.message, why.fired),
        interval=explained.between(result.low, result.high, write),
        times_limit=_times(result.value, result.threshold) if breach else "",
        coverage="" if (covered := number(result.coverage)) is None else svg.percent(covered),
        why=why,
        notes=why.fired.notes if why.fired else (),
        pictures=pictures,
        changes=changes,
        between=explained.between,
        what_if=explained.WHAT_IF,
        business_value=explained.business_value(why),
        examples=rows,
        columns=_columns(rows, bool(alert.target.field)),
        annotations={k: v for k, v in alert.annotations.items() if k not in {"summary", "description"} and v},
        rule={str(k): _short(v) for k, v in alert.configured.items()},
        sql=_sql(alert),
        **_evidence(alert.verdict.result.evidence),
    )


def _decisive(verdict: Verdict, fired: Fired | None) -> Verdict:
    """Return the verdict that the page is about: the newest, or an older breach."""
    if verdict.result.status == "breach" or fired is None or number(fired.result.value) is None:
        return verdict
    older = Verdict(verdict.target, fired.start, fired.end, fired.result)
    newest = (verdict.start, verdict.end, verdict.result.value)
    return verdict if (older.start, older.end, older.result.value) == newest else older


def _evidence(evidence: Evidence | None) -> dict[str, Any]:
    """Return the evidence's part of the template's variables."""
    picture, caption = distributions.draw(evidence.distribution if isinstance(evidence, FieldEvidence) else None)
    return {
        "picture": picture,
        "caption": caption,
        "numbers": _numbers(_lines_of(evidence)),
        "segments": evidence.segments[:_MOST_ROWS] if isinstance(evidence, (FieldEvidence, FairnessEvidence)) else (),
        "budget": _budget(evidence) if isinstance(evidence, BudgetEvidence) else {},
        "further": _further(evidence),
    }


def _headline(alert: Alert) -> str:
    target = alert.target
    about = f", {target.field}" if target.field else ""
    where = f", in {target.segment}" if target.segment else ""
    return f"{alert.rule}: {measured(alert.check, alert.method)}{about}{where}"


def _budget(evidence: BudgetEvidence) -> dict[str, Any]:
    """Return the text about the rest of an error budget, and its burn rates; {} without windows."""
    if not evidence.windows:
        return {}
    left, over = number(evidence.left), shown(evidence.over)
    used = left is not None and left < 0
    text = f"{as_share(left)} of the budget for {over} is left."
    if used:
        text = f"The budget for {over} is used up: {as_share(1 - (left or 0.0))} of it is gone."
    return {"text": text, "lines": evidence.windows}


def _times(value: float | None, threshold: float | None) -> str:
    """Return the value as a multiple of the limit; "" if it is not beyond a positive limit."""
    finite, limit = number(value), number(threshold)
    if finite is None or limit is None or limit <= 0 or finite <= limit:
        return ""
    return f"{finite / limit:.1f} × the limit" if finite / limit < 1000 else "far beyond the limit"


def _lines_of(evidence: Evidence | None) -> Sequence[Line]:
    if evidence is None or isinstance(evidence, (FairnessEvidence, SliceEvidence, BudgetEvidence)):
        return ()
    return evidence.numbers[:_MOST_ROWS]


def _further(evidence: Evidence | None) -> dict[str, str]:
    if isinstance(evidence, SchemaEvidence):
        return {"fields": _short(evidence.fields)}
    return {"relation": _short(evidence.relation)} if isinstance(evidence, ParityEvidence) and evidence.relation else {}


def _numbers(lines: Sequence[Line]) -> list[tuple[str, str, str]]:
    """Return name, reference and window; counts have their share of the rows, since the two differ in size."""
    totals = next((line for line in lines if line.name == "rows"), Line("rows", None, None))

    def cell(line: Line, side: int) -> str:
        return _with_share(line[side], None if line is totals else totals[side])

    return [(line.name, cell(line, 1), cell(line, 2)) for line in lines]


def _with_share(value: Any, total: Any) -> str:
    counts = isinstance(value, int) and isinstance(total, int) and not isinstance(value, bool)
    if not counts or not 0 <= value <= total or total == 0:
        return shown(value)
    return f"{shown(value)} ({svg.percent(value / total)})"


def _columns(rows: Sequence[Mapping[str, Any]], of_field: bool) -> list[str]:
    """Return the known columns, then all others of the rows; `value` is shown for alerts on a field."""
    sometimes = {"value": of_field, **{name: any(name in row for row in rows) for name in ("slice", "shadow")}}
    known = [name for name in _EXAMPLE_COLUMNS if sometimes.get(name, True)]
    others = dict.fromkeys(str(key) for row in rows for key in row if key not in _EXAMPLE_COLUMNS)
    return [*known, *others][:_MOST_COLUMNS]


def _example(row: Mapping[str, Any]) -> dict[str, Any]:
    """Shorten a prediction and ground truth that arrived as text with all their digits."""
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
    if alert.verdict.result.status != "breach" and alert.state.last_breach:  # the evidence is that of the last breach
        start, end = alert.state.last_breach - (end - start), alert.state.last_breach
    return (
        f"SELECT * FROM predictions.\"{table}\"\nWHERE _version = '{version}' AND _time >= {start} AND _time < {end};"
    )
