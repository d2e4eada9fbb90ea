"""Drift checks: is a field's distribution still the reference's?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from otel_mlmon.checks import evidence
from otel_mlmon.checks.context import FieldView, Limit, compare, not_in_reference, too_few_values
from otel_mlmon.checks.transformation import TRANSFORMED, WORTH_A_LOOK, Found, explain
from otel_mlmon.rulefile import DRIFT_THRESHOLDS, DriftRule
from otel_mlmon.stats.drift.distribution import Distribution
from otel_mlmon.stats.drift.methods import DRIFT_METHODS, NEEDS_ORDERED_BINS
from otel_mlmon.stats.drift.shift_kind import mix_share
from otel_mlmon.values import CheckResult, FieldProfile, FieldReference

if TYPE_CHECKING:
    from otel_mlmon.values import Counts

MOSTLY_MIX: Final = 0.8  # share of the change that another mix explains, above which the mix is the finding
_COVERED: Final = 0.95  # share of the rows that must have a segment, on both sides
# With a budget of false alarms: the distance below which no difference matters, however sure.
FLOORS: Final = {
    "psi": 0.02,
    "kolmogorov_smirnov": 0.05,
    "wasserstein": 0.1,
    "jensen_shannon": 0.05,
    "hellinger": 0.05,
    "anderson_darling": 0.05,
    "cramer_von_mises": 0.05,
    "chi_squared": 0.05,
    "g_test": 0.05,
    "l_infinity": 0.03,
    "mean_shift": 0.1,
    "standard_deviation_shift": 0.1,
    "quantile_shift": 0.1,
}


def applies(rule: DriftRule, reference: FieldReference) -> bool:
    """Return whether the method means anything for the field: distribution functions need an order."""
    few = reference.kind == "categorical" or len(reference.edges) < 2 or reference.few_values
    fits = rule.kind is None or few == (rule.kind == "discrete")
    return fits and (reference.kind == "numeric" or rule.drift not in NEEDS_ORDERED_BINS)


def threshold(rule: DriftRule) -> float:
    """Return the largest distance that is fine: as stated, else by convention; with a budget a floor."""
    if rule.above is not None:
        return rule.above
    return FLOORS[rule.drift] if rule.false_alarms else DRIFT_THRESHOLDS[rule.drift]


def drift(rule: DriftRule, field: FieldView) -> CheckResult:
    """Distance of the window's counts from the reference's, on the reference's frozen bins or categories."""
    if field.reference is None or field.expected is None:
        return not_in_reference(field)
    then, now = distribution(field, field.expected), distribution(field, field.profile)
    rows, reference_rows = int(now.counts.sum()), int(then.counts.sum())
    if rows < rule.min_rows:
        return too_few_values(rows, "values", rule.min_rows, reference_rows)
    effect = DRIFT_METHODS[rule.drift](then, now)
    limit = Limit(threshold(rule), rule.critical)
    news = effect.value > limit.value and effect.p_value < WORTH_A_LOOK
    found = explain(field) if news and field.reference.kind == "numeric" else None
    parts = mix(field, rule.segments) if news else None
    message = f"{rule.drift} {effect.value:.3g} between {rows} values and the reference's {reference_rows}"
    message += f"; {found.message}" if found else ""
    return compare(
        effect.value,
        limit,
        effect.p_value,
        rows=rows,
        reference_rows=reference_rows,
        message=f"{message}; {parts.message}" if parts else message,
        finding=_finding(found, parts),
        evidence=lambda: evidence.of_field(field),
    )


def _finding(found: Found | None, parts: Mix | None) -> str:
    if found is not None and found.finding in TRANSFORMED:
        return found.finding
    return "mix" if parts is not None and parts.share >= MOSTLY_MIX else "shift"


def distribution(field: FieldView, profile: FieldProfile) -> Distribution:
    """A profile as the drift methods want it."""
    assert field.reference is not None
    counts = cells(field.reference, profile)
    return Distribution(
        counts,
        field.reference.edges,
        profile.numbers,
        profile.sum,
        profile.sum_squares,
        profile.minimum,
        profile.maximum,
        field.design_effect(int(counts.sum())),
    )


def seen_once(profile: FieldProfile) -> int:
    """Count known categories with one row: the expected number of rows in unseen categories (Good and Turing)."""
    return 0 if profile.categories is None else int((profile.categories == 1).sum())


def cells(reference: FieldReference, profile: FieldProfile) -> Counts:
    """Counts per bin, or per category and of all others."""
    if reference.kind == "numeric":
        return np.zeros(len(reference.edges) + 1, np.int64) if profile.bins is None else profile.bins
    known = np.zeros(len(reference.categories), np.int64) if profile.categories is None else profile.categories
    texts = profile.types.get("string", 0) + profile.types.get("bool", 0)
    return np.append(known, max(texts - int(known.sum()), 0))


@dataclass(frozen=True, slots=True)
class Mix:
    """`share` of the change that comes from other shares of the segments of `key`; `message` says which moved most."""

    key: str
    share: float
    message: str


def mix(field: FieldView, keys: Sequence[str]) -> Mix | None:
    """Return how much of a field's change another mix of segments explains: have their shares changed, or their values?

    Of the segment keys, the one that explains most. None for one segment, and where nothing is known of segments.
    """
    if field.segment:
        return None
    known = field.context.segments(keys)
    mixes = [
        _mix_of_key(field, key, [segment for segment in known if segment.partition("=")[0] == key])
        for key in keys
        if key != field.name
    ]
    return max(filter(None, mixes), key=lambda found: found.share, default=None)


def _mix_of_key(field: FieldView, key: str, values: list[str]) -> Mix | None:
    reference, expected = field.reference, field.expected
    if reference is None or expected is None or len(values) < 2:
        return None
    nothing = np.zeros_like(cells(reference, expected))
    pairs = [field.part(value) for value in values]
    then = np.stack([nothing if p is None else cells(reference, p) for p, _ in pairs])
    now = np.stack([nothing if p is None else cells(reference, p) for _, p in pairs])
    wholes = cells(reference, expected).sum(), cells(reference, field.profile).sum()
    if not all(part.sum() >= _COVERED * whole > 0 for part, whole in zip((then, now), wholes, strict=True)):
        return None
    share = mix_share(then, now)
    if share != share:
        return None
    before, after = (part.sum(axis=1) / part.sum() for part in (then, now))
    most = int(np.argmax(np.abs(after - before)))
    message = (
        f"{min(max(share, 0.0), 1.0):.0%} of it is another mix of {key} "
        f"({values[most].partition('=')[2]} {before[most]:.0%} → {after[most]:.0%})"
    )
    return Mix(key, share, message)
