"""Agreement of two models on the same inputs: differences, their size, and a formula that explains them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from otel_mlmon.stats.inference.p_values import t_quantile, t_tail
from otel_mlmon.values import Floats

_EXPLAINS: Final = 0.9  # share of the squared differences that a formula must explain
_EXACT: Final = 1e-9  # share of the squared differences that is rounding error
_ONE_SIDED: Final = 0.95
_LEAST_PAIRS: Final = 5
_LARGEST_EXPONENT: Final = 50.0


class Size(NamedTuple):
    """A mean difference in standard deviations, with its interval; the p-value is that of "at most the threshold"."""

    value: float
    low: float
    high: float
    p_value: float
    rows: int


def differ(one: Floats, other: Floats, tolerance: float) -> npt.NDArray[np.bool_]:
    """Return where two columns of numbers differ by more than `tolerance`, relative to the larger of the two.

    NaN equals NaN, and infinity equals infinity of the same sign; any other number differs from them.

    >>> differ(np.array([1.0, 100.0, np.nan, np.inf]), np.array([1.1, 100.1, np.nan, 5.0]), 0.01).tolist()
    [True, False, False, True]
    """
    with np.errstate(invalid="ignore", over="ignore"):
        far = np.abs(one - other) > tolerance * np.maximum(np.abs(one), np.abs(other))
    finite = np.isfinite(one) & np.isfinite(other)
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    different: npt.NDArray[np.bool_] = np.where(finite, far, ~same)
    return different


def alike(one: Any, other: Any, tolerance: float) -> bool:
    """Return whether two JSON values agree: numbers within the tolerance, lists and maps element by element.

    >>> alike([1.0, "a"], [1, "a"], 0.0), alike({"x": 1.0}, {"x": 1.1}, 0.01), alike(True, 1, 0.0), alike(None, 0, 1.0)
    (True, False, False, False)
    """
    if _is_number(one) and _is_number(other):
        try:
            return not differ(np.array([float(one)]), np.array([float(other)]), tolerance)[0]
        except OverflowError:  # integers too large for a float
            return bool(one == other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(alike(a, b, tolerance) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key], tolerance) for key in one)
    return type(one) is type(other) and bool(one == other)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def relative_size(predictions: Floats, shadows: Floats, above: float, confidence: float) -> Size:
    """Return mean |prediction - shadow| over the standard deviation of the shadow, with an interval of `confidence`.

    Student's t distribution; standard error of the ratio by the delta method. NaN for fewer than two finite pairs, and
    when only the shadow's predictions are constant.

    >>> shadow = np.arange(100.0)
    >>> size = relative_size(shadow + 3.0, shadow, above=0.05, confidence=0.95)
    >>> round(size.value, 3), round(size.low, 3), round(size.high, 3), size.p_value < 1e-6
    (0.103, 0.094, 0.113, True)
    """
    finite = np.isfinite(predictions) & np.isfinite(shadows)
    difference, shadow = np.abs(predictions[finite] - shadows[finite]), shadows[finite]
    n = len(difference)
    if n and not difference.any():
        return Size(0.0, 0.0, 0.0, 1.0, n)
    deviation = float(shadow.std(ddof=1)) if n > 1 else 0.0
    if deviation == 0:
        return Size(math.nan, math.nan, math.nan, math.nan, n)
    value = float(difference.mean()) / deviation
    standardised = (shadow - shadow.mean()) / deviation
    influence = difference / deviation - value * (standardised**2 + 1) / 2
    error = float(influence.std(ddof=1)) / math.sqrt(n)
    half = t_quantile(confidence, n - 1) * error
    return Size(value, max(0.0, value - half), value + half, t_tail(value - above, error, n - 1), n)


def relation(predictions: Floats, shadows: Floats) -> str:
    """Return a formula that turns the shadow's predictions into the model's; "" for none.

    Sign, factor, offset, exponential, logarithm, factor and offset: the first that explains nine tenths of the squared
    differences, corrected for fitted parameters, and about as much as the best. Without one: whether nearly all
    predictions are on one side.

    >>> shadow = np.linspace(1, 9, 50)
    >>> relation(1.08 * shadow, shadow), relation(shadow - 2, shadow), relation(np.exp(shadow), shadow)
    ('prediction ≈ 1.08 × shadow', 'prediction ≈ shadow - 2', 'prediction ≈ exp(shadow)')
    """
    finite = np.isfinite(predictions) & np.isfinite(shadows)
    a, b = predictions[finite], shadows[finite]
    apart = a - b
    total = float((apart**2).sum())
    if len(a) < _LEAST_PAIRS or total == 0 or not math.isfinite(total):
        return ""
    formulas = _formulas(a, b)
    left = [float(((a - fitted) ** 2).sum()) * len(a) / max(len(a) - k, 1) for fitted, _, k in formulas]
    least = min((rest for rest in left if rest == rest), default=total)
    for (_, text, _), rest in zip(formulas, left, strict=True):
        if rest <= min((1 - _EXPLAINS) * total, 2 * least + _EXACT * total):
            return text()
    above, below = int((apart > 0).sum()), int((apart < 0).sum())
    if max(above, below) >= _ONE_SIDED * (above + below):
        sign = ">" if above > below else "<"
        return f"prediction {sign} shadow in {max(above, below)} of {above + below} that differ"
    return ""


def _formulas(a: Floats, b: Floats) -> list[tuple[Floats, Callable[[], str], int]]:
    """Return (values, text, number of fitted parameters), the simplest first."""
    square = float((b**2).sum())
    factor = float((a * b).sum()) / square if square > 0 else math.nan
    offset = float((a - b).mean())
    slope, intercept = math.nan, math.nan
    squares = float(((b - b.mean()) ** 2).sum())
    if len(a) > _LEAST_PAIRS and squares > 0:
        slope = float(((b - b.mean()) * (a - a.mean())).sum()) / squares
        intercept = float(a.mean()) - slope * float(b.mean())
    formulas = [
        (-b, lambda: "prediction ≈ -shadow", 0),
        (factor * b, lambda: f"prediction ≈ {factor:.4g} × shadow", 1),
        (b + offset, lambda: f"prediction ≈ shadow {_signed(offset)}", 1),
    ]
    if (np.abs(b) < _LARGEST_EXPONENT).all():
        formulas.append((np.exp(b), lambda: "prediction ≈ exp(shadow)", 0))
    if (b > 0).all():
        formulas.append((np.log(b), lambda: "prediction ≈ log(shadow)", 0))
    formulas.append((slope * b + intercept, lambda: f"prediction ≈ {slope:.4g} × shadow {_signed(intercept)}", 2))
    return formulas


def _signed(value: float) -> str:
    return f"{'-' if value < 0 else '+'} {abs(value):.4g}"
