"""The faults, fixed before the first measurement."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.detection.data import HOUR, DataSet
from otel_mlmon.lab.simulate.faults import Fault
from otel_mlmon.lab.simulate.normal import Normal
from otel_mlmon.wire.semconv import FIELD_PREDICTION

# severity: share of rows with a fault of integrity, and a shift in standard deviations
SEVERITIES = {"moderate": (0.05, 0.5), "light": (0.01, 0.25)}
WINDOW_ROWS = 1_000
UNITS = (1000.0, 0.001, 100.0, 0.01, 3.28084, 0.3048)
DEFAULTS = (-1.0, 999.0)
WITHIN = 2  # windows
INSIDE = "other unit, inside the range"

# kind of fault → allowed (method, finding) of the first alert; "" is any
NAMES: dict[str, set[tuple[str, str]]] = {
    "drop": {("missing", "absent")},
    "null": {("missing", "null")},
    "nan": {("missing", "nan")},
    "empty": {("missing", "empty")},
    "retype": {("type", "")},
    "float_for_int": {("type", "")},
    "default": {("", "default")},
    "impute": {("", "default")},
    "range": {("range", "range")},
    "new_category": {("range", "new_category")},
    "scale": {("", "unit")},
    "sign": {("", "sign")},
    "shift": {("kolmogorov_smirnov", "shift"), ("jensen_shannon", "shift")},
    "noise": {("bias", ""), ("rmse", "")},
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """A fault that starts in the second window of three."""

    data: str
    indicator: str
    severity: str
    fault: Fault


def scenarios(data: DataSet) -> Iterator[Scenario]:
    """List every fault that applies to each of the data set's own features, at both severities.

    Faults without an effect, or with the effect of another fault, are left out: imputing a feature of few values, the
    unit and the sign of a feature with the values 0 and 1 (-1 would be a new default), the sign of a feature with both
    signs, and a shift further than a feature's few values reach.
    """
    for severity, (fraction, amount) in SEVERITIES.items():

        def one(indicator: str, kind: str, severity: str = severity, **what: object) -> Scenario:
            return Scenario(data.name, indicator, severity, Fault(kind, start=HOUR, **what))  # type: ignore[arg-type]

        for name in data.own:
            normal = Normal.of(data.rows.fields[name])
            text = bool(normal.labels)
            for kind in ("drop", "null", "empty") if text else ("drop", "null", "nan"):
                yield one("dropped fields", kind, field=name, fraction=fraction)
            yield one("type mismatch", "retype", field=name, fraction=fraction)
            if normal.integer and not text:
                yield one("type mismatch", "float_for_int", field=name, fraction=fraction)
            for value in ("unknown",) if text else DEFAULTS:
                if text or value not in normal.known:
                    yield one("default value change", "default", field=name, fraction=fraction, value=value)
            if normal.shares.size > 20:
                yield one("default value change", "impute", field=name, fraction=fraction)
            if text:
                yield one("values out of range", "new_category", field=name, fraction=fraction)
            else:
                yield one("values out of range", "range", field=name, fraction=fraction, amount=0.5)
                for factor in UNITS if normal.shares.size > 2 else ():
                    yield one("values out of range", "scale", field=name, fraction=fraction, amount=factor)
                if (normal.minimum >= 0 or normal.maximum <= 0) and normal.shares.size > 2:
                    yield one("values out of range", "sign", field=name, fraction=fraction)
            for sign in (1, -1):
                if text or _room(normal, sign) > amount * normal.deviation:
                    yield one("distribution shift", "shift", field=name, amount=sign * amount)
        for sign in (1, -1):
            yield one("performance degradation", "noise", field=FIELD_PREDICTION, amount=sign * amount)


def _room(normal: Normal, sign: int) -> float:
    """Return how far the mean of a feature of few values can move; infinite for many values."""
    if normal.shares.size > 20:
        return float("inf")
    mean = float((normal.known * normal.shares).sum())
    return normal.maximum - mean if sign > 0 else mean - normal.minimum


def indicator(scenario: Scenario, data: DataSet) -> str:
    """Return the indicator of a scenario; "" if the fault changes nothing.

    Another unit counts as values out of range only if most of the values leave the range. If they stay in it (three
    times the population of a block), it is a change of the distribution in a few rows, and counted separately.
    """
    if scenario.fault.kind not in ("sign", "scale"):
        return scenario.indicator
    normal = Normal.of(data.rows.fields[scenario.fault.field])
    factor = -1.0 if scenario.fault.kind == "sign" else float(scenario.fault.amount or 1.0)
    cells = data.rows.fields[scenario.fault.field].numbers
    assert cells is not None
    values = cells[np.isfinite(cells)]
    if (values == 0).mean() > 0.5:
        return ""  # 0 is 0 in any unit
    moved = values * factor
    outside = ((moved < normal.minimum) | (moved > normal.maximum)).mean()
    return scenario.indicator if outside >= 0.5 else INSIDE
