"""A field's profile as counts per cell, which is what distributions are compared by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from otel_mlmon.checks.case import FieldCase
from otel_mlmon.stats.drift.distribution import Distribution
from otel_mlmon.values import FieldProfile, FieldReference

if TYPE_CHECKING:
    from otel_mlmon.values import Counts


def distribution(case: FieldCase, profile: FieldProfile) -> Distribution:
    """A profile as the drift methods want it."""
    assert case.reference is not None
    counts = cells(case.reference, profile)
    return Distribution(
        counts,
        case.reference.edges,
        profile.numbers,
        profile.sum,
        profile.sum_squares,
        profile.minimum,
        profile.maximum,
        case.design_effect(int(counts.sum())),
    )


def seen_once(profile: FieldProfile) -> int:
    """Known categories with one row: as many rows as that, by Good and Turing, are to be expected in categories never seen."""
    return 0 if profile.categories is None else int((profile.categories == 1).sum())


def cells(reference: FieldReference, profile: FieldProfile) -> Counts:
    """Counts per bin, or per category and of all others."""
    if reference.kind == "numeric":
        return np.zeros(len(reference.edges) + 1, np.int64) if profile.bins is None else profile.bins
    known = np.zeros(len(reference.categories), np.int64) if profile.categories is None else profile.categories
    texts = profile.types.get("string", 0) + profile.types.get("bool", 0)
    return np.append(known, max(texts - int(known.sum()), 0))
