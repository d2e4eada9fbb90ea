"""Normalised discounted cumulative gain: whether what matters most stands first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from otel_mlmon.stats.outcomes import Mask, MetricOptions, Outcomes
from otel_mlmon.stats.row_metrics.influence import Influence, mean_of
from otel_mlmon.stats.row_metrics.quantile_loss import both_numbers

if TYPE_CHECKING:
    from otel_mlmon.values import Floats


def ndcg(outcomes: Outcomes, options: MetricOptions) -> Influence:
    """Mean over queries of DCG / best possible DCG, DCG = sum of truth / log2(place + 1) over the first `k` places (Järvelin and
    Kekäläinen, ACM TOIS 20, 2002). Truth is relevance, the prediction ranks; equal predictions share their places (McSherry and
    Najork, ECIR 2008). As scikit-learn's `ndcg_score`: a query without anything relevant has 0. One row alone is no ranking:
    such queries are left out. The rows of the estimate are queries.

    Raises ValueError without queries, for k below 1, and when a truth is negative.

    >>> from otel_mlmon.stats.outcomes import numbers
    >>> round(ndcg(numbers([10, 0, 0, 1, 5], [0.1, 0.2, 0.3, 4, 70], [7] * 5), MetricOptions()).value, 4)
    0.6957
    """
    if outcomes.query is None:
        raise ValueError("ndcg needs the query of each row, found none")
    if options.k is not None and options.k < 1:
        raise ValueError(f"k must be 1 or more, found {options.k}")
    rows = ranked(outcomes, options)
    truth, prediction = outcomes.truth[rows], outcomes.prediction[rows]
    if len(truth) and truth.min() < 0:
        raise ValueError(f"the truth of a ranking must not be negative, found {truth.min()}")
    _, query = np.unique(outcomes.query[rows], return_inverse=True)
    found, best = _gains(query, prediction, truth, options.k), _gains(query, truth, truth, options.k)
    return mean_of(np.divide(found, best, out=np.zeros_like(found), where=best > 0), "mostly_high")


def ranked(outcomes: Outcomes, options: MetricOptions) -> Mask:
    """Rows of queries with at least two rows whose truth and prediction are finite.

    >>> from otel_mlmon.stats.outcomes import numbers
    >>> ranked(numbers([1, 2, 3], [1, 2, 3], [5, 6, 6]), MetricOptions()).tolist()
    [False, True, True]
    """
    if outcomes.query is None:
        return np.zeros(len(outcomes), np.bool_)
    mask: Mask = both_numbers(outcomes, options) & (outcomes.query >= 0)
    if not mask.any():
        return mask
    size = np.bincount(outcomes.query[mask])
    alone = np.zeros_like(mask)
    alone[mask] = size[outcomes.query[mask]] < 2
    return mask & ~alone


def _gains(query: npt.NDArray[np.int64], by: Floats, truth: Floats, k: int | None) -> Floats:
    """Discounted cumulative gain of each query, its rows in falling order of `by`."""
    if not len(query):
        return np.zeros(0)
    order = np.lexsort((-by, query))
    query, by, truth = query[order], by[order], truth[order]
    first = np.searchsorted(query, np.arange(query[-1] + 1))
    place = np.arange(len(query)) - first[query]
    discount = 1 / np.log2(place + 2)
    if k is not None:
        discount[place >= k] = 0.0
    tied = np.flatnonzero(np.concatenate([[True], (query[1:] != query[:-1]) | (by[1:] != by[:-1])]))
    size = np.diff(np.append(tied, len(query)))
    gain = np.add.reduceat(truth, tied) / size * np.add.reduceat(discount, tied)
    return np.bincount(query[tied], weights=gain).astype(np.float64)
