"""The effect of each kind of fault on cells. Each function changes `rows` of `cells`; all these rows have a value."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from otel_mlmon.lab.simulate.cells import Editable
from otel_mlmon.lab.simulate.normal import Normal
from otel_mlmon.values import FieldCells, RowBlock, State
from otel_mlmon.wire.columns import json_text
from otel_mlmon.wire.semconv import FIELD_PREDICTION

Rows = npt.NDArray[np.int64]
Rng = np.random.Generator
_FEW = 20  # a numeric field with at most this many different values moves from one value to the next


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of a field, in a share `fraction` of the rows from `start` to `end` (ns of event time, half-open).

    The kind defines `amount` and `value`. `other`: the second field of a swap, or the new name of a field.
    """

    kind: str
    field: str = ""
    fraction: float = 1.0
    amount: float | None = None
    value: str | float | int | bool | None = None
    other: str = ""
    segment: str = ""
    start: int = 0
    end: int = 2**63 - 1


def drop(cells: Editable, rows: Rows, fault: Fault, normal: Normal, rng: Rng) -> None:
    cells.empty(rows, State.ABSENT)


def null(cells: Editable, rows: Rows, fault: Fault, normal: Normal, rng: Rng) -> None:
    cells.empty(rows, State.NULL)


def nan(cells: Editable, rows: Rows, fault: Fault, normal: Normal, rng: Rng) -> None:
    cells.put_numbers(rows, np.full(len(rows), np.nan), State.FLOAT)


def empty(cells: Editable, rows: Rows, fault: Fault, normal: Normal, rng: Rng) -> None:
    cells.put_text(rows, [""] * len(rows))


def retype(cells: Editable, rows: Rows, fault: Fault, normal: Normal, rng: Rng) -> None:
    if cells.numbers is None:
        cells.put_other(rows, [json_text(int(code)) for code in cells.codes[rows]])
    else:
        cells.put_other(rows, [json_text(f"{value:g}") for value in cells.numbers[rows].tolist()])


def float_for_int(cells: Editable, rows: Rows, fault: Fault, normal: Normal, rng: Rng) -> None:
    assert cells.numbers is not None
    cells.put_numbers(rows, cells.numbers[rows] + 0.5, State.FLOAT)


def big_int(cells: Editable, rows: Rows, fault: Fault, normal: Normal, rng: Rng) -> None:
    cells.put_other(rows, [str(2**53 + 1 + 2 * int(i)) for i in rng.integers(0, 2**40, len(rows))])


def default(cells: Editable, rows: Rows, fault: Fault, normal: Normal, rng: Rng) -> None:
    if cells.numbers is None:
        value = "unknown" if fault.value is None else fault.value
        cells.put_text(rows, [str(value)] * len(rows))
    else:
        number = -1 if fault.value is None else fault.value
        state = State.INT if normal.integer and float(number).is_integer() else State.FLOAT
        cells.put_numbers(rows, np.full(len(rows), float(number)), state)


def impute(cells: Editable, rows: Rows, fault: Fault, normal: Normal, rng: Rng) -> None:
    if cells.numbers is None:
        cells.put_text(rows, [normal.labels[0]] * len(rows), _text_state(cells))
    else:
        cells.put_numbers(rows, np.full(len(rows), normal.median), normal.state)


def stuck(cells: Editable, rows: Rows, fault: Fault, normal: Normal, rng: Rng) -> None:
    if not len(rows):
        return
    if cells.numbers is None:
        cells.put_text(rows, [cells.text(int(rows[0]))] * len(rows), _text_state(cells))
    else:
        cells.put_numbers(rows, np.full(len(rows), cells.numbers[rows[0]]), normal.state)


def beyond(cells: Editable, rows: Rows, fault: Fault, normal: Normal, rng: Rng) -> None:
    reach = ((normal.maximum - normal.minimum) or 1.0) * (fault.amount or 0.5)
    if normal.integer:
        reach = max(reach, 5.0)  # several values; a single one would be a new default
    values = normal.maximum + reach * (0.02 + 0.98 * rng.random(len(rows)))
    cells.put_numbers(rows, np.ceil(values) if normal.integer else values, normal.state)


def new_category(cells: Editable, rows: Rows, fault: Fault, normal: Normal, rng: Rng) -> None:
    cells.put_text(rows, [str(fault.value or "NEW")] * len(rows))


def scale(cells: Editable, rows: Rows, fault: Fault, normal: Normal, rng: Rng) -> None:
    assert cells.numbers is not None
    values = cells.numbers[rows] * (1000.0 if fault.amount is None else fault.amount)
    whole = normal.integer and bool((values == np.floor(values)).all())
    cells.put_numbers(rows, values, State.INT if whole else State.FLOAT)


def sign(cells: Editable, rows: Rows, fault: Fault, normal: Normal, rng: Rng) -> None:
    assert cells.numbers is not None
    cells.put_numbers(rows, -cells.numbers[rows], normal.state)


def precision(cells: Editable, rows: Rows, fault: Fault, normal: Normal, rng: Rng) -> None:
    assert cells.numbers is not None
    cells.put_numbers(rows, np.trunc(cells.numbers[rows]), State.FLOAT)


def encoding(cells: Editable, rows: Rows, fault: Fault, normal: Normal, rng: Rng) -> None:
    def damaged(text: str) -> str:
        return (text if not text.isascii() else f"{text}é").encode().decode("latin-1")

    cells.put_text(rows, [damaged(cells.text(row)) for row in rows.tolist()])


def case(cells: Editable, rows: Rows, fault: Fault, normal: Normal, rng: Rng) -> None:
    cells.put_text(rows, [cells.text(row).swapcase() for row in rows.tolist()])


def pad(cells: Editable, rows: Rows, fault: Fault, normal: Normal, rng: Rng) -> None:
    cells.put_text(rows, [f"{cells.text(row)} " for row in rows.tolist()])


def shift(cells: Editable, rows: Rows, fault: Fault, normal: Normal, rng: Rng) -> None:
    """Shift a distribution by `amount` standard deviations.

    Many different numbers: x + amount × deviation. Few: cells move to the next known number until the mean has moved as
    far. Categories: a share amount × sqrt(p (1 - p)) of the rows moves from the most frequent category to the second.
    """
    amount = 0.5 if fault.amount is None else fault.amount
    if cells.numbers is None:
        if len(normal.labels) > 1:
            _shift_categories(cells, rows, amount, normal, rng)
        return
    x = cells.numbers[rows]
    if len(normal.known) <= _FEW:
        cells.put_numbers(rows, _stepped(x, amount, normal, rng), normal.state)
        return
    by = np.full(len(x), amount * normal.deviation)
    if normal.integer:  # integers stay integers, and their mean moves as far
        by = np.floor(by) + (rng.random(len(x)) < by - np.floor(by))
    cells.put_numbers(rows, x + by, normal.state)


def _stepped(x: npt.NDArray[np.float64], amount: float, normal: Normal, rng: Rng) -> npt.NDArray[np.float64]:
    moved = x.copy()
    up = amount > 0
    wanted = abs(amount) * normal.deviation * len(x)
    for _ in range(len(normal.known)):
        place = np.searchsorted(normal.known, moved)
        after = np.clip(place + (1 if up else -1), 0, len(normal.known) - 1)
        gain = np.abs(normal.known[after] - moved)
        total = float(gain.sum())
        left = wanted - float(np.abs(moved - x).sum())
        if left <= 0 or total <= 0:
            break
        step = rng.random(len(x)) < min(1.0, left / total)
        moved[step] = normal.known[after][step]
    return moved


def _shift_categories(cells: Editable, rows: Rows, amount: float, normal: Normal, rng: Rng) -> None:
    share = float(normal.shares[0])
    source, target = (normal.labels[0], normal.labels[1]) if amount > 0 else (normal.labels[1], normal.labels[0])
    sources = rows[[cells.text(row) == source for row in rows.tolist()]]
    wanted = round(abs(amount) * (share * (1 - share)) ** 0.5 * len(rows))
    moving = np.sort(rng.choice(sources, min(wanted, len(sources)), replace=False))
    cells.put_text(moving, [target] * len(moving), _text_state(cells))


def _text_state(cells: Editable) -> State:
    return State.BOOL if (cells.states == State.BOOL).any() else State.STRING


def a_number(n: int, rows: Rows) -> FieldCells:
    """Make a field with a number in `rows`, absent in the others."""
    cells = Editable.of(FieldCells.all_absent(n))
    cells.put_numbers(rows, np.full(len(rows), 1.5), State.FLOAT)
    return cells.freeze()


def swapped(one: FieldCells, other: FieldCells, rows: Rows) -> tuple[FieldCells, FieldCells]:
    """Swap the cells of two fields in `rows`."""
    a, b = Editable.of(one), Editable.of(other)
    _put(a, Editable.of(other), rows)
    _put(b, Editable.of(one), rows)
    return a.freeze(), b.freeze()


def _put(into: Editable, source: Editable, rows: Rows) -> None:
    states = source.states[rows]
    for state in map(State, sorted(set(states.tolist()))):
        part = rows[states == state]
        if state in (State.NULL, State.ABSENT, State.LOST):
            into.empty(part, state)
        elif state == State.OTHER:
            into.put_other(part, [source.others[row] for row in part.tolist()])
        elif source.numbers is not None and into.numbers is not None:
            into.put_numbers(part, source.numbers[part], state)
        elif source.numbers is None and into.numbers is None:
            into.put_text(part, [source.text(row) for row in part.tolist()], state)
        elif source.numbers is not None:
            into.put_other(part, [json_text(v) for v in source.numbers[part].tolist()])
        else:
            into.put_other(part, [json_text(source.text(row)) for row in part.tolist()])


def noise(rows: RowBlock, hit: Rows, amount: float, random: bool, rng: Rng) -> RowBlock:
    """Move predictions by `amount` standard deviations of their error, equally or at random; replace classes."""
    cells = Editable.of(rows.fields[FIELD_PREDICTION])
    if cells.numbers is None:
        changed = hit[rng.random(len(hit)) < amount]
        labels = [cells.labels[(code + 1) % len(cells.labels)] for code in cells.codes[changed]]
        cells.put_text(changed, labels, _text_state(cells))
    else:
        errors = (cells.numbers - rows.truth_numbers)[rows.truth_known & np.isfinite(rows.truth_numbers)]
        by = amount * float(np.nanstd(errors)) if len(errors) else 0.0
        shifts = rng.normal(0, by, len(hit)) if random else np.full(len(hit), by)
        cells.numbers[hit] += shifts
    return replace(rows, fields={**rows.fields, FIELD_PREDICTION: cells.freeze()})
