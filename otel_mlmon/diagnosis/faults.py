"""Which rows have the fault that an integrity alert is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from otel_mlmon.diagnosis.subject import Evidence, Subject
from otel_mlmon.rulefile import OutOfRange, TypeMismatch
from otel_mlmon.values import FieldCells, FieldReference
from otel_mlmon.values.cells import STATE_OF
from otel_mlmon.wire.columns import number_text

_RARE: Final = 0.01  # a type that less of the reference has is no part of normal

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Fault:
    """`mask` is by row of `Evidence.rows`; `usual` is the share of the reference's rows that have it, too; `what` is in words."""

    what: str
    mask: Mask
    usual: float


def fault(subject: Subject, evidence: Evidence) -> Fault | None:
    """The fault row by row; None where the rule is about the window as a whole (volume, freshness …), or about no known field."""
    name, method = subject.alert.target.field, subject.alert.method
    cells = evidence.block.fields.get(name)
    if not name or cells is None:
        return None
    known = subject.reference.fields.get(name) if subject.reference else None
    if method in ("missing", "schema"):
        return Fault(f"share of rows without {name}", cells.missing()[evidence.rows], _usual_missing(known))
    if method == "type":
        return _wrong_type(subject, evidence, cells, known)
    if method == "range":
        return _outside(subject, evidence, cells, known)
    if method in ("default_value", "stuck"):
        return _most_frequent(name, evidence, cells, known)
    return None


def _usual_missing(known: FieldReference | None) -> float:
    profile = known.profile if known else None
    return 0.0 if profile is None or not profile.rows else profile.missing / profile.rows


def _wrong_type(subject: Subject, evidence: Evidence, cells: FieldCells, known: FieldReference | None) -> Fault | None:
    expect = subject.rule.expect if isinstance(subject.rule, TypeMismatch) else None
    if expect is not None:
        right = [expect]
    elif known is not None:
        total = max(known.profile.values, 1)
        right = [type_ for type_ in STATE_OF if known.profile.types.get(type_, 0) >= _RARE * total]
    else:
        return None
    mask = (cells.has_value() & ~cells.of_type(*right))[evidence.rows]
    return Fault(f"share of rows with a {subject.alert.target.field} of another type", mask, 0.0)


def _outside(subject: Subject, evidence: Evidence, cells: FieldCells, known: FieldReference | None) -> Fault | None:
    rule = subject.rule if isinstance(subject.rule, OutOfRange) else None
    what = f"share of rows with a {subject.alert.target.field} out of range"
    if cells.texts is not None:
        categories = set(rule.categories or ()) if rule else set()
        categories = categories or set(known.categories if known else ())
        unknown = np.array([*(label not in categories for label in cells.texts.labels), False])
        return Fault(what, unknown[cells.texts.codes[evidence.rows]], 0.0) if categories else None
    low = rule.minimum if rule else None
    high = rule.maximum if rule else None
    if low is None and high is None and known is not None and known.edges:
        low, high = known.edges[0], known.edges[-1]
    assert cells.numbers is not None
    x = cells.numbers[evidence.rows]
    with np.errstate(invalid="ignore"):
        mask = (x < (-np.inf if low is None else low)) | (x > (np.inf if high is None else high))
    return Fault(what, mask, 0.0)


def _most_frequent(name: str, evidence: Evidence, cells: FieldCells, known: FieldReference | None) -> Fault | None:
    """The single value that the window has most more often than the reference."""
    values = cells.numbers if cells.numbers is not None else cells.texts.codes if cells.texts is not None else None
    if values is None:
        return None
    mine = values[evidence.rows]
    there = np.isfinite(mine) if cells.numbers is not None else mine >= 0
    if not there.any():
        return None
    found, counts = np.unique(mine[there], return_counts=True)
    usual = [_constant(known, value, cells) for value in found.tolist()]
    most = int(np.argmax(counts / len(mine) - np.array(usual)))
    text = f"{found[most]:g}" if cells.texts is None else repr(cells.texts.labels[int(found[most])])
    return Fault(f"share of rows with {name} = {text}", mine == found[most], usual[most])


def _constant(known: FieldReference | None, value: float, cells: FieldCells) -> float:
    if known is None:
        return 0.0
    if cells.texts is None:
        return known.constants.get(number_text(value), 0.0)
    label = cells.texts.labels[int(value)]
    if known.profile.categories is None or label not in known.categories:
        return 0.0
    return float(known.profile.categories[known.categories.index(label)]) / max(known.profile.rows, 1)
