"""Drift of the whole: have the segments other shares, or have their values changed?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from otel_mlmon.checks.case import FieldCase
from otel_mlmon.checks.distribution import cells
from otel_mlmon.stats.drift.shift_kind import mix_share

MOSTLY: Final = 0.8  # share of the change from which on it is the mix that has changed
_COVERED: Final = 0.95  # share of the rows that must have a segment, on both sides


@dataclass(frozen=True, slots=True)
class Mix:
    """`share` of the change that comes from other shares of the segments of `key`; `message` says which moved most."""

    key: str
    share: float
    message: str


def mix(case: FieldCase) -> Mix | None:
    """By the segment key that explains most; None where nothing is known of segments."""
    others = {key: values for key, values in case.segments.items() if key != case.name}
    found = [one for key, values in others.items() if (one := _of_key(case, key, values)) is not None]
    return max(found, key=lambda one: one.share, default=None)


def _of_key(case: FieldCase, key: str, values: list[str]) -> Mix | None:
    reference, expected = case.reference, case.expected
    if reference is None or expected is None or len(values) < 2:
        return None
    nothing = np.zeros_like(cells(reference, expected))
    pairs = [case.of_segment(value) for value in values]
    then = np.stack([nothing if p is None else cells(reference, p) for p, _ in pairs])
    now = np.stack([nothing if p is None else cells(reference, p) for _, p in pairs])
    wholes = cells(reference, expected).sum(), cells(reference, case.profile).sum()
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
