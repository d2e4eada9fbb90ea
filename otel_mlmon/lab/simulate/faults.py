"""Inject silent failures into rows, for unit tests of rules, backtests and the detection benchmark."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from otel_mlmon.lab.simulate import damage
from otel_mlmon.lab.simulate.cells import Editable
from otel_mlmon.lab.simulate.damage import Fault
from otel_mlmon.lab.simulate.memory import take
from otel_mlmon.lab.simulate.normal import Normal
from otel_mlmon.values import RowBlock, State

__all__ = ["FAULTS", "Fault", "Kind", "inject"]

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault: its effect, its indicator, and the fields that it applies to."""

    does: str
    indicator: str
    fields: str  # any, number, float, int, text, model
    apply: Callable[[Editable, Rows, Fault, Normal, np.random.Generator], None] | None = None


FAULTS: Final[Mapping[str, Kind]] = {
    "drop": Kind("the field is absent", "dropped fields", "any", damage.drop),
    "null": Kind("the field is null", "dropped fields", "any", damage.null),
    "nan": Kind("the field is NaN", "dropped fields", "number", damage.nan),
    "empty": Kind("the field is an empty text", "dropped fields", "text", damage.empty),
    "retype": Kind("a number arrives as text, a text as a number", "type mismatch", "any", damage.retype),
    "float_for_int": Kind("an integer arrives as a float with decimals", "type mismatch", "int", damage.float_for_int),
    "big_int": Kind("an integer beyond 53 bits", "type mismatch", "int", damage.big_int),
    "default": Kind(
        'a constant `value` (-1, "unknown") takes the place', "default value change", "any", damage.default
    ),
    "impute": Kind("the median or most frequent value takes the place", "default value change", "any", damage.impute),
    "stuck": Kind("all values are the first one", "default value change", "any", damage.stuck),
    "range": Kind("beyond the maximum, by up to `amount` spreads", "values out of range", "number", damage.beyond),
    "new_category": Kind("a category that is not known", "values out of range", "text", damage.new_category),
    "scale": Kind("times `amount`: another unit", "values out of range", "number", damage.scale),
    "sign": Kind("times -1", "values out of range", "number", damage.sign),
    "precision": Kind("decimals are cut off", "values out of range", "float", damage.precision),
    "encoding": Kind("text in another encoding", "values out of range", "text", damage.encoding),
    "case": Kind("capitals and small letters change", "values out of range", "text", damage.case),
    "pad": Kind("a blank behind the text", "values out of range", "text", damage.pad),
    "shift": Kind("moved by `amount` standard deviations", "distribution shift", "any", damage.shift),
    "drift": Kind("moved little by little, up to `amount` standard deviations", "distribution shift", "number"),
    "swap": Kind("values of `field` and `other` change places", "distribution shift", "any"),
    "rename": Kind("the field comes under the name `other`", "schema change", "any"),
    "remove": Kind("the field is not there any more", "schema change", "any"),
    "add": Kind("a field that is not known", "schema change", "any"),
    "duplicate": Kind("rows come twice, under other ids", "volume", "model"),
    "lose": Kind("rows do not come", "volume", "model"),
    "delay": Kind("ground truth becomes known `amount` seconds later", "performance degradation", "model"),
    "noise": Kind(
        "predictions are off by `amount` standard deviations of the error", "performance degradation", "model"
    ),
    "label": Kind("the truth is `amount` times what it was", "performance degradation", "model"),
}


def inject(rows: RowBlock, fault: Fault, rng: np.random.Generator, normal: RowBlock | None = None) -> RowBlock:
    """Return the rows with the fault in round(fraction × eligible) rows.

    The normal spread and values are measured on `normal`, by default on `rows`. Raises ValueError for an unknown kind,
    field or segment, and for a fraction outside [0, 1].
    """
    kind = FAULTS.get(fault.kind)
    if kind is None:
        raise ValueError(f"fault {fault.kind!r}, allowed are {', '.join(FAULTS)}")
    if kind.fields != "model" and fault.kind != "add" and fault.field not in rows.fields:
        raise ValueError(f"fault {fault.kind}: no field {fault.field!r}; there are {', '.join(sorted(rows.fields))}")
    hit = _hit(rows, fault, rng)
    if kind.fields == "model":
        return _of_model(rows, fault, hit, rng)
    if fault.kind in ("swap", "rename", "remove", "add"):
        return _of_columns(rows, fault, hit)
    cells, usual = Editable.of(rows.fields[fault.field]), Normal.of((normal or rows).fields[fault.field])
    if fault.kind == "drift":
        _drift(cells, rows, fault, hit, usual, rng)
    elif kind.apply is not None:
        eligible = hit if fault.kind in ("drop", "null") else hit[cells.holds_value(hit)]
        kind.apply(cells, eligible, fault, usual, rng)
    return replace(rows, fields={**rows.fields, fault.field: cells.freeze()})


def _hit(rows: RowBlock, fault: Fault, rng: np.random.Generator) -> Rows:
    eligible = (rows.times >= fault.start) & (rows.times < fault.end)
    if fault.segment:
        key, _, value = fault.segment.partition("=")
        cells = rows.fields.get(key)
        texts = rows.segments.get(key) or (cells.texts if cells is not None else None)
        if texts is None or value not in texts.labels:
            raise ValueError(f"fault {fault.kind}: no rows with {fault.segment!r}")
        eligible &= texts.codes == texts.labels.index(value)
    indices = np.flatnonzero(eligible)
    if not 0 <= fault.fraction <= 1:
        raise ValueError(f"fault {fault.kind}: fraction {fault.fraction}, allowed is 0 to 1")
    return np.sort(rng.choice(indices, round(fault.fraction * len(indices)), replace=False))


def _drift(cells: Editable, rows: RowBlock, fault: Fault, hit: Rows, normal: Normal, rng: np.random.Generator) -> None:
    """Shift in twenty steps, from none to the whole amount."""
    end = min(fault.end, int(rows.times.max()) + 1)
    progress = (rows.times[hit] - fault.start) / max(end - fault.start, 1)
    for step in range(1, 21):
        part = hit[np.ceil(progress * 20).clip(1, 20) == step]
        part = part[cells.holds_value(part)]
        damage.shift(cells, part, replace(fault, amount=(fault.amount or 0.5) * step / 20), normal, rng)


def _of_columns(rows: RowBlock, fault: Fault, hit: Rows) -> RowBlock:
    fields = dict(rows.fields)
    if fault.kind == "add":
        fields[fault.field or "added"] = damage.a_number(len(rows), hit)
        return replace(rows, fields=fields)
    cells = fields[fault.field]
    if fault.kind == "remove":
        removed = Editable.of(cells)
        removed.empty(hit, State.ABSENT)
        return replace(rows, fields={**fields, fault.field: removed.freeze()})
    if fault.kind == "rename":
        name = fault.other or f"{fault.field}_renamed"
        old, new = Editable.of(cells), Editable.of(cells)
        old.empty(hit, State.ABSENT)
        new.empty(np.setdiff1d(np.arange(len(rows)), hit), State.ABSENT)
        return replace(rows, fields={**fields, fault.field: old.freeze(), name: new.freeze()})
    if fault.other not in fields:
        raise ValueError(f"fault swap: no field {fault.other!r}; there are {', '.join(sorted(fields))}")
    one, other = damage.swapped(cells, fields[fault.other], hit)
    return replace(rows, fields={**fields, fault.field: one, fault.other: other})


def _of_model(rows: RowBlock, fault: Fault, hit: Rows, rng: np.random.Generator) -> RowBlock:
    if fault.kind == "lose":
        return take(rows, np.setdiff1d(np.arange(len(rows)), hit))
    if fault.kind == "duplicate":
        return take(rows, np.sort(np.concatenate([np.arange(len(rows)), hit])))
    if fault.kind == "delay":
        times = rows.truth_times.copy()
        times[hit] += round((fault.amount or 86_400.0) * 1e9)
        return replace(rows, truth_times=times)
    if fault.kind == "label":
        truths = rows.truth_numbers.copy()
        truths[hit] *= fault.amount or 1.5
        return replace(rows, truth_numbers=truths)
    return damage.noise(rows, hit, fault.amount or 0.5, fault.value == "noise", rng)
