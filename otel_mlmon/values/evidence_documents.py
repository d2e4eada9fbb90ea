"""Evidence as JSON-able data: the spelling of the store's documents and of the HTTP API.

The documents have no tag; the keys tell the kind. The reader takes a missing or malformed part as empty.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any, Final, TypeVar, get_args

from otel_mlmon.values.evidence import (
    BudgetEvidence,
    BurnWindow,
    Distribution,
    EstimatedWindow,
    EstimateEvidence,
    Evidence,
    FairnessEvidence,
    FieldEvidence,
    Kind,
    Line,
    ParityEvidence,
    ParityExample,
    PerformanceEvidence,
    SchemaEvidence,
    SegmentValue,
    SelectedField,
    Selection,
    ShiftKind,
    SliceEvidence,
    SliceValue,
)

_T = TypeVar("_T")
Document = Mapping[str, Any]


def evidence_to_document(evidence: Evidence | None) -> dict[str, Any]:
    """Return the evidence's document, {} for None."""
    match evidence:
        case None:
            return {}
        case FieldEvidence(numbers, distribution, segments):
            return {
                "numbers": _lists(numbers),
                **({} if distribution is None else {"distribution": _distribution_document(distribution)}),
                **({"segments": [[s.segment, s.value, s.rows] for s in segments]} if segments else {}),
            }
        case SchemaEvidence(names, numbers):
            return {"fields": list(names), "numbers": _lists(numbers)}
        case FairnessEvidence(segments):
            order = ("segment", "rows", "value", "standard_error")
            return {"segments": [{name: getattr(segment, name) for name in order} for segment in segments]}
        case SliceEvidence(slices):
            return {"slices": [_slice_document(part) for part in slices]}
        case BudgetEvidence(left, over, windows):
            return {"budget": {"left": left, "over": over, "windows": [_burn_document(window) for window in windows]}}
        case EstimateEvidence(numbers, ledger):
            return {**_numbers_document(numbers), "ledger": [asdict(window) for window in ledger]}
        case PerformanceEvidence(numbers, selection, shift):
            return {
                **_numbers_document(numbers),
                **({} if selection is None else {"selection": _without_nan(asdict(selection))}),
                **({} if shift is None else {"shift": _without_nan(asdict(shift))}),
            }
        case ParityEvidence():
            return {
                "numbers": _lists(evidence.numbers),
                "interval": list(evidence.interval),
                "size": evidence.size,
                "relation": evidence.relation,
                "slices": [_slice_document(part) for part in evidence.slices],
                "examples": [asdict(example) for example in evidence.examples],
            }


def evidence_from_document(check: str, document: Document) -> Evidence | None:
    """Read a document of `evidence_to_document`; `check` is the family of the rule."""
    if not document:
        return None
    numbers = _rows(document.get("numbers"), _line)
    if check == "budget" or "budget" in document:
        budget = _mapping(document.get("budget"))
        windows = _rows(budget.get("windows"), _burn_window)
        return BudgetEvidence(_number(budget.get("left")), _text(budget.get("over")), windows)
    if check == "estimate" or "ledger" in document:
        return EstimateEvidence(numbers, _rows(document.get("ledger"), _estimated_window))
    if check == "performance":
        selection, shift = document.get("selection"), document.get("shift")
        return PerformanceEvidence(
            numbers,
            _selection(selection) if isinstance(selection, Mapping) else None,
            _shift_kind(shift) if isinstance(shift, Mapping) else None,
        )
    if check == "parity" or "size" in document:
        low, high = [*map(_number, _list(document.get("interval"))), math.nan, math.nan][:2]
        return ParityEvidence(
            numbers,
            (low, high),
            _number(document.get("size")),
            _text(document.get("relation")),
            _rows(document.get("slices"), _slice_value),
            _rows(document.get("examples"), _parity_example),
        )
    if "fields" in document:
        return SchemaEvidence(tuple(map(_text, _list(document["fields"]))), numbers)
    if "slices" in document:
        return SliceEvidence(_rows(document["slices"], _slice_value))
    segments = _rows(document.get("segments"), _segment_value)
    if check == "fairness":
        return FairnessEvidence(segments)
    distribution = document.get("distribution")
    return FieldEvidence(numbers, _distribution(distribution) if isinstance(distribution, Mapping) else None, segments)


def _lists(rows: Iterable[Iterable[Any]]) -> list[list[Any]]:
    return [list(row) for row in rows]


def _numbers_document(numbers: tuple[Line, ...]) -> dict[str, Any]:
    return {"numbers": _lists(numbers)} if numbers else {}


def _without_nan(document: dict[str, Any]) -> dict[str, Any]:
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in document.items()}


def _distribution_document(distribution: Distribution) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(distribution).items()}


_SLICE_ORDER: Final = ("where", "conditions", "rows", "value", "expected", "worse", "p_value")
_BURN_ORDER: Final = ("window", "short", "burn", "short_burn", "factor", "p_value", "rows", "breach", "wakes")


def _slice_document(part: SliceValue) -> dict[str, Any]:
    document = {name: getattr(part, name) for name in _SLICE_ORDER}
    document["conditions"] = _lists(part.conditions)
    if part.worse is None:  # the slices of parity have neither
        del document["conditions"], document["worse"]
    return document


def _burn_document(window: BurnWindow) -> dict[str, Any]:
    return {name: getattr(window, name) for name in _BURN_ORDER}


def _mapping(value: Any) -> Document:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _rows(value: Any, read: Callable[[Any], _T | None]) -> tuple[_T, ...]:
    return tuple(row for one in _list(value) if (row := read(one)) is not None)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _optional(value: Any) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _number(value: Any) -> float:
    number = _optional(value)
    return math.nan if number is None else number


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _line(row: Any) -> Line | None:
    if not isinstance(row, (list, tuple)) or len(row) != 3:
        return None
    return Line(str(row[0]), _optional(row[1]), _optional(row[2]))


def _segment_value(row: Any) -> SegmentValue | None:
    if isinstance(row, (list, tuple)) and len(row) == 3:
        return SegmentValue(str(row[0]), _optional(row[1]), _count(row[2]))
    if not isinstance(row, Mapping):
        return None
    value, error = _optional(row.get("value")), _optional(row.get("standard_error"))
    return SegmentValue(_text(row.get("segment")), value, _count(row.get("rows")), error)


def _distribution(document: Document) -> Distribution:
    edges = document.get("edges")
    return Distribution(
        kind=_text(document.get("kind")),
        labels=tuple(map(str, _list(document.get("labels")))),
        edges=tuple(edge for edge in map(_optional, _list(edges)) if edge is not None) if edges is not None else None,
        reference=tuple(_optional(share) or 0.0 for share in _list(document.get("reference"))),
        window=tuple(_optional(share) or 0.0 for share in _list(document.get("window"))),
    )


def _slice_value(row: Any) -> SliceValue | None:
    if not isinstance(row, Mapping):
        return None
    conditions = [pair for pair in _list(row.get("conditions")) if isinstance(pair, (list, tuple)) and len(pair) == 2]
    return SliceValue(
        where=_text(row.get("where")),
        rows=_count(row.get("rows")),
        value=_number(row.get("value")),
        expected=_number(row.get("expected")),
        p_value=_number(row.get("p_value")),
        conditions=tuple((str(name), str(text)) for name, text in conditions),
        worse=_optional(row.get("worse")),
    )


def _burn_window(row: Any) -> BurnWindow | None:
    if not isinstance(row, Mapping):
        return None
    return BurnWindow(
        window=_text(row.get("window")),
        short=_text(row.get("short")),
        burn=_number(row.get("burn")),
        short_burn=_number(row.get("short_burn")),
        factor=_number(row.get("factor")),
        p_value=_number(row.get("p_value")),
        rows=_count(row.get("rows")),
        breach=bool(row.get("breach")),
        wakes=bool(row.get("wakes")),
    )


def _estimated_window(row: Any) -> EstimatedWindow | None:
    if not isinstance(row, Mapping):
        return None
    start, end = _count(row.get("start")), _count(row.get("end"))
    estimate, low, high = (_number(row.get(name)) for name in ("estimate", "low", "high"))
    return EstimatedWindow(start, end, estimate, low, high, _optional(row.get("realised")))


def _selected_field(row: Any) -> SelectedField | None:
    if not isinstance(row, Mapping):
        return None
    return SelectedField(
        field=_text(row.get("field")),
        kind="numbers" if row.get("kind") == "numbers" else "share",
        difference=_number(row.get("difference")),
        labelled=_number(row.get("labelled")),
        others=_number(row.get("others")),
        text=_text(row.get("text")),
    )


def _selection(document: Document) -> Selection:
    optional = {name: _optional(document.get(name)) for name in ("plain", "corrected", "low", "high")}
    return Selection(
        biased=bool(document.get("biased")),
        auc=_number(document.get("auc")),
        p_value=_number(document.get("p_value")),
        fields=_rows(document.get("fields"), _selected_field),
        effective_rows=_number(document.get("effective_rows")),
        message=_text(document.get("message")),
        reason=_text(document.get("reason")),
        **optional,
    )


def _shift_kind(document: Document) -> ShiftKind:
    named = {"kind", "message", "rows"}
    optional = {
        field.name: _optional(document.get(field.name)) for field in fields(ShiftKind) if field.name not in named
    }
    kind = document.get("kind")
    known: Kind = next((one for one in get_args(Kind) if one == kind), "unknown")
    return ShiftKind(known, _text(document.get("message")), rows=_count(document.get("rows")), **optional)


def _parity_example(row: Any) -> ParityExample | None:
    if not isinstance(row, Mapping):
        return None
    id_, prediction, shadow = (_text(row.get(name)) for name in ("prediction_id", "prediction", "shadow"))
    return ParityExample(id_, _count(row.get("time")), prediction, shadow)
