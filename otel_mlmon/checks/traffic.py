"""The stream of predictions: how many, how fresh, how fast, how often equal; and relations between fields."""

from __future__ import annotations

import math

import numpy as np

from otel_mlmon.checks.context import NO_ARRIVALS, Limit, ModelView, compare, no_data, percent, too_few_predictions
from otel_mlmon.rulefile import Duplicates, Expression, Freshness, Latency, Volume, format_duration
from otel_mlmon.rulefile.patterns import output_name
from otel_mlmon.stats.inference.proportion import exceeds
from otel_mlmon.values import CheckResult, FieldCells

_WEEK = 7 * 86_400_000_000_000
_WEEKS_BACK = 4
_BACK = 24  # windows before this one, where there are no earlier weeks
_LEAST = 4
_FACTOR = 2.0  # half or twice as many as usual
_SIGMAS = 4.0
_OTHERS = -(2**40)  # codes of values of other types, away from all other codes


def volume(rule: Volume, view: ModelView) -> CheckResult:
    """Predictions in the window, against the stated limits, or against the same time of earlier weeks."""
    n = view.n
    if rule.minimum is not None or rule.maximum is not None:
        few = rule.minimum is not None and n < rule.minimum
        limit = rule.minimum if few or rule.maximum is None else rule.maximum
        assert limit is not None
        message = f"{n} predictions, allowed are {rule.minimum or 0} to {rule.maximum or 'any number'}"
        stated = Limit(float(limit), higher_is_worse=not (few or rule.maximum is None))
        return compare(float(n), stated, rows=n, finding="few" if few else "many", message=message)
    usual = _usual(view)
    if usual is None:
        return no_data("no_history", "too few earlier windows to know how many predictions are usual", rows=n)
    middle, spread = usual
    surprise = abs(n - middle) / max(spread, middle**0.5, 1.0)
    ratio = max((n + 1) / (middle + 1), (middle + 1) / (n + 1)) if surprise > _SIGMAS else 1.0
    finding, message = "few" if n < middle else "many", f"{n} predictions, usual are {middle:.0f}"
    return compare(ratio, Limit(_FACTOR), rows=n, reference_rows=round(middle), finding=finding, message=message)


def _usual(view: ModelView) -> tuple[float, float] | None:
    """Median and robust standard deviation of the number of predictions in comparable windows."""
    begin, length = view.context.start, view.context.end - view.context.start
    history = view.context.history
    panes, rows, _ = history.arrivals(begin - _WEEKS_BACK * _WEEK, begin) if history else NO_ARRIVALS
    if not len(panes):
        return None

    def count(start: int) -> int:
        first, last = np.searchsorted(panes, (start, start + length))
        return int(rows[first:last].sum())

    oldest = int(panes[0])
    weeks = [begin - i * _WEEK for i in range(1, _WEEKS_BACK + 1)]
    starts = [s for s in weeks if s >= oldest]
    if len(starts) < _LEAST:
        starts = [begin - i * length for i in range(1, _BACK + 1) if begin - i * length >= oldest]
    if len(starts) < _LEAST:
        return None
    counts = np.array([count(start) for start in starts], dtype=float)
    silent = int(np.argmax(counts > 0)) if counts.any() else len(counts)
    if not (counts[silent:] == 0).any():
        counts = counts[silent:]  # silence up to now does not become usual where there were always some
    if len(counts) < _LEAST:
        return None
    middle = float(np.median(counts))
    return middle, 1.4826 * float(np.median(np.abs(counts - middle)))


def freshness(rule: Freshness, view: ModelView) -> CheckResult:
    """Age of the newest prediction at the end of the window, in seconds."""
    end, history = view.context.end, view.context.history
    panes, rows, pane = history.arrivals(end - _WEEKS_BACK * _WEEK, end) if history else NO_ARRIVALS
    filled = panes[rows > 0]
    if not len(filled):
        return no_data("no_rows", "no prediction in four weeks")
    age = max(end - int(filled[-1]) - pane, 0)  # it may have come at the pane's very end
    message = f"the newest prediction is {format_duration(age)} old, allowed are {format_duration(rule.above)}"
    return compare(age / 1e9, Limit(rule.above / 1e9), rows=view.n, finding="stale", message=message)


def latency(rule: Latency, view: ModelView) -> CheckResult:
    """A quantile of the durations, in seconds."""
    block, rows = view.block()
    durations = block.durations[rows] if block is not None else np.zeros(0)
    durations = durations[np.isfinite(durations)]
    if len(durations) < rule.min_rows:
        return too_few_predictions(len(durations), rule.min_rows)
    value, limit = float(np.quantile(durations, rule.quantile)), rule.above / 1e9
    # As many are above the limit as chance explains, if the true quantile is at it?
    p_value = exceeds(int((durations > limit).sum()), len(durations), 1 - rule.quantile)
    message = f"{rule.quantile:.0%} of {len(durations)} predictions took up to {value:.3g} s, allowed are {limit:g} s"
    return compare(value, Limit(limit), p_value, rows=len(durations), finding="slow", message=message)


def duplicates(rule: Duplicates, view: ModelView) -> CheckResult:
    """Share of rows whose features all are those of another row of the window."""
    block, rows = view.block()
    if block is None or len(rows) < rule.min_rows:
        return too_few_predictions(len(rows), rule.min_rows)
    features = [cells for name, cells in sorted(block.fields.items()) if output_name(name) is None]
    if not features:
        return no_data("no_values", "the model has no features", rows=len(rows))
    keys = np.stack([_codes(cells)[rows] for cells in features])
    _, counts = np.unique(keys, axis=1, return_counts=True)
    n, repeated = len(rows), len(rows) - len(counts)
    limit, p_value = Limit(rule.above, rule.critical), exceeds(repeated, n, rule.above)
    message = f"{percent(repeated, n)} of {n} rows repeat another one"
    return compare(repeated / n, limit, p_value, rows=n, finding="duplicates", message=message)


def _codes(cells: FieldCells) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """A number per row, equal where cells are: letters and values both count."""
    if cells.texts is not None:
        values = cells.texts.codes.astype(np.int64)
    else:
        assert cells.numbers is not None
        values = np.unique(cells.numbers, return_inverse=True)[1].reshape(-1).astype(np.int64)
    values = values * 256 + cells.states
    seen: dict[str, int] = {}
    for row, text in zip(cells.other_rows.tolist(), cells.other_texts, strict=True):
        values[row] = _OTHERS - seen.setdefault(text, len(seen))
    return values


def expression(rule: Expression, view: ModelView) -> CheckResult:
    """Share of the rows that violate the condition, among those where it is true or false."""
    block, rows = view.block()
    if block is None or len(rows) < rule.min_rows:
        return too_few_predictions(len(rows), rule.min_rows)
    if all(output_name(name) is not None for name in block.fields):
        return no_data("no_values", "the model has no features", rows=len(rows))
    assert view.context.sql is not None
    holds, violated = view.context.sql.condition(block, rows, rule.expression)
    judged = holds + violated
    if not judged:
        return no_data("no_values", f"{rule.expression} is null in all of {len(rows)} rows", rows=len(rows))
    limit, p_value = Limit(rule.above, rule.critical), exceeds(violated, judged, rule.above) if rule.above else math.nan
    message = f"{percent(violated, judged)} of {judged} rows violate {rule.expression}"
    return compare(violated / judged, limit, p_value, rows=judged, finding="violated", message=message)
