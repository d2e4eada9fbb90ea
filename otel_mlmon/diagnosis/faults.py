"""Find the rows with the fault of an integrity alert."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from otel_mlmon.diagnosis.subject import Subject, WindowSample
from otel_mlmon.rulefile import OutOfRange, TypeMismatch
from otel_mlmon.values import FieldCells, FieldReference
from otel_mlmon.values.cells import STATE_OF
from otel_mlmon.wire.columns import number_text

_RARE: Final = 0.01  # share of the reference's values; a rarer type is not expected

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault by row of the sample; `usual` is the share of the reference's rows with it, `measure` describes it."""

    measure: str
    mask: Mask
    usual: float


def fault(subject: Subject, sample: WindowSample) -> Fault | None:
    """Return the fault by row; None for rules on the window as a whole (volume, freshness …) and unknown fields."""
    name, method = subject.alert.target.field, subject.alert.method
    cells = sample.block.fields.get(name)
    if not name or cells is None:
        return None
    known = subject.reference.fields.get(name) if subject.reference else None
    if method in ("missing", "schema"):
        return Fault(f"share of rows without {name}", cells.missing()[sample.rows], _usual_missing(known))
    if method == "type":
        return _wrong_type(subject, sample, cells, known)
    if method == "range":
        return _outside(subject, sample, cells, known)
    if method in ("default_value", "stuck"):
        return _most_frequent(name, sample, cells, known)
    return None


def _usual_missing(known: FieldReference | None) -> float:
    profile = known.profile if known else None
    return 0.0 if profile is None or not profile.rows else profile.missing / profile.rows


def _wrong_type(
    subject: Subject, sample: WindowSample, cells: FieldCells, known: FieldReference | None
) -> Fault | None:
    expect = subject.rule.expect if isinstance(subject.rule, TypeMismatch) else None
    if expect is not None:
        expected = [expect]
    elif known is not None:
        total = max(known.profile.values, 1)
        expected = [type_ for type_ in STATE_OF if known.profile.types.get(type_, 0) >= _RARE * total]
    else:
        return None
    mask = (cells.has_value() & ~cells.of_type(*expected))[sample.rows]
    return Fault(f"share of rows with a {subject.alert.target.field} of another type", mask, 0.0)


def _outside(subject: Subject, sample: WindowSample, cells: FieldCells, known: FieldReference | None) -> Fault | None:
    rule = subject.rule if isinstance(subject.rule, OutOfRange) else None
    measure = f"share of rows with a {subject.alert.target.field} out of range"
    if cells.texts is not None:
        categories = set(rule.categories or ()) if rule else set()
        categories = categories or set(known.categories if known else ())
        unknown = np.array([*(label not in categories for label in cells.texts.labels), False])
        return Fault(measure, unknown[cells.texts.codes[sample.rows]], 0.0) if categories else None
    low = rule.minimum if rule else None
    high = rule.maximum if rule else None
    if low is None and high is None and known is not None and known.edges:
        low, high = known.edges[0], known.edges[-1]
    assert cells.numbers is not None
    x = cells.numbers[sample.rows]
    with np.errstate(invalid="ignore"):
        mask = (x < (-np.inf if low is None else low)) | (x > (np.inf if high is None else high))
    return Fault(measure, mask, 0.0)


def _most_frequent(name: str, sample: WindowSample, cells: FieldCells, known: FieldReference | None) -> Fault | None:
    """Return the value whose share exceeds that of the reference most."""
    values = cells.numbers if cells.numbers is not None else cells.texts.codes if cells.texts is not None else None
    if values is None:
        return None
    column = values[sample.rows]
    present = np.isfinite(column) if cells.numbers is not None else column >= 0
    if not present.any():
        return None
    distinct, counts = np.unique(column[present], return_counts=True)
    usual = [_usual_share(known, value, cells) for value in distinct.tolist()]
    most = int(np.argmax(counts / len(column) - np.array(usual)))
    text = f"{distinct[most]:g}" if cells.texts is None else repr(cells.texts.labels[int(distinct[most])])
    return Fault(f"share of rows with {name} = {text}", column == distinct[most], usual[most])


def _usual_share(known: FieldReference | None, value: float, cells: FieldCells) -> float:
    if known is None:
        return 0.0
    if cells.texts is None:
        return known.constants.get(number_text(value), 0.0)
    label = cells.texts.labels[int(value)]
    if known.profile.categories is None or label not in known.categories:
        return 0.0
    return float(known.profile.categories[known.categories.index(label)]) / max(known.profile.rows, 1)
