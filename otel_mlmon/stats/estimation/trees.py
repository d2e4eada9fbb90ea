"""Gradient-boosted regression trees: scikit-learn grows them, plain arrays keep them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from otel_mlmon.values import Counts, Floats
from otel_mlmon.values.estimators import MAX_LEAVES, Trees

# The defaults of LightGBM's regressor, which NannyML uses.
TREES: Final = 100
LEARNING_RATE: Final = 0.1
LEAVES: Final = MAX_LEAVES - 1
SMALLEST_LEAF: Final = 20
_CHECKED: Final = 2_000  # rows on which the plain trees are compared with scikit-learn's own prediction
_TOLERANCE: Final = 1e-9
_BATCH: Final = 20_000  # rows that are evaluated at a time
_ALL: Final = np.uint32(0xFFFFFFFF)


def predict(trees: Trees, rows: Floats) -> Floats:
    """Return the sum of the trees for each row (rows × features); NaN is a missing value.

    A node that sends a row right rules out the leaves of its left part; the row ends in the leftmost leaf that remains
    (Lucchese et al., QuickScorer, SIGIR 2015). A table per feature holds the leaves that all thresholds rule out
    together. Raises ValueError for another number of features.

    >>> stump = Trees(1, 1.0, *map(np.array, ([0], [0], [5.0], [True], [0], [1], [2], [10.0, 20.0])))
    >>> predict(stump, np.array([[5.0], [5.1], [np.nan]])).tolist()
    [11.0, 21.0, 11.0]
    """
    if rows.ndim != 2 or rows.shape[1] != trees.features:
        raise ValueError(f"the trees need {trees.features} features, found {rows.shape[1:]}")
    tables = [_table(trees, feature) for feature in range(trees.features)]
    offsets = np.concatenate([[0], np.cumsum(trees.leaves)[:-1]])
    batches = (rows[i : i + _BATCH] for i in range(0, len(rows), _BATCH))
    return np.concatenate([np.zeros(0), *(_predict_batch(trees, batch, tables, offsets) for batch in batches)])


class _Table(NamedTuple):
    """A feature's thresholds in order, and the leaves (bits) of each tree that remain by number of exceeded thresholds.

    The last line of `remaining` is for a missing value.
    """

    thresholds: Floats
    remaining: npt.NDArray[np.uint32]


def _predict_batch(trees: Trees, rows: Floats, tables: list[_Table], offsets: Counts) -> Floats:
    left = np.full((len(rows), len(trees.leaves)), _ALL)
    for column, (thresholds, remaining) in zip(rows.T, tables, strict=True):
        if len(thresholds):
            left &= remaining[np.where(np.isnan(column), len(thresholds) + 1, np.searchsorted(thresholds, column))]
    lowest = left & (~left + np.uint32(1))
    leaf = np.bitwise_count(lowest - np.uint32(1))
    total: Floats = trees.base + trees.values[offsets + leaf].sum(axis=1)
    return total


def _table(trees: Trees, feature: int) -> _Table:
    nodes = np.flatnonzero(trees.feature == feature)
    thresholds, place = np.unique(trees.threshold[nodes], return_inverse=True)
    remaining = np.full((len(thresholds) + 2, len(trees.leaves)), _ALL)
    one = np.uint64(1)
    left_part = (one << trees.last[nodes].astype(np.uint64)) - (one << trees.first[nodes].astype(np.uint64))
    right_part = (~left_part).astype(np.uint32)
    np.bitwise_and.at(remaining, (place.reshape(-1) + 1, trees.tree[nodes]), right_part)
    remaining[:-1] = np.bitwise_and.accumulate(remaining[:-1], axis=0)
    goes_right = ~trees.missing_left[nodes]
    last_line = np.full(int(goes_right.sum()), len(remaining) - 1)
    np.bitwise_and.at(remaining, (last_line, trees.tree[nodes][goes_right]), right_part[goes_right])
    return _Table(thresholds, remaining)


def available() -> bool:
    """Return whether scikit-learn is installed.

    >>> available()
    True
    """
    return find_spec("sklearn") is not None


def fit_trees(rows: Floats, target: Floats) -> Trees:
    """Fit trees to `target` by squared error, from `rows` (rows × features, NaN for a missing value).

    Source: Ke et al., LightGBM, NeurIPS 2017, as scikit-learn's HistGradientBoostingRegressor has it. Raises
    RuntimeError when the plain trees do not predict as scikit-learn does.

    >>> x = np.linspace(0, 1, 200)[:, None]
    >>> trees = fit_trees(x, np.where(x[:, 0] > 0.5, 3.0, 1.0))
    >>> predict(trees, np.array([[0.2], [0.8]])).round(3).tolist()
    [1.0, 3.0]
    """
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    model = HistGradientBoostingRegressor(
        max_iter=TREES,
        learning_rate=LEARNING_RATE,
        max_leaf_nodes=LEAVES,
        min_samples_leaf=SMALLEST_LEAF,
        early_stopping=False,
        random_state=0,
    )
    scale = float(np.abs(target).max()) or 1.0
    sample = rows[:: max(1, len(rows) // _CHECKED)]
    with_missing = np.where((np.arange(sample.size) % 3 == 0).reshape(sample.shape), np.nan, sample)
    with threadpool_limits(1, "openmp"):  # threads that wait for one another take many times as long on a busy machine
        model.fit(rows, target)
        expected = [(checked, model.predict(checked)) for checked in (sample, with_missing)]
    trees = _plain(_read_scikit_learn(model), rows.shape[1])
    for checked, predicted in expected:
        error = np.abs(predict(trees, checked) - predicted).max()
        if not error <= _TOLERANCE * scale:
            raise RuntimeError(
                f"scikit-learn's trees are laid out in another way than expected: they differ by {error}"
            )
    return trees


class _Grown(NamedTuple):
    """scikit-learn's trees: the value that the sum starts from, and each tree's table of nodes, the root first."""

    base: float
    tables: list[Any]


def _read_scikit_learn(model: Any) -> _Grown:
    """Read the nodes of a fitted HistGradientBoostingRegressor.

    The only use of scikit-learn's private attributes: it has no public way to the nodes of these trees, and the
    reference file must not hold a pickle. `fit_trees` compares the predictions, so another layout is an error.
    """
    return _Grown(
        float(np.ravel(model._baseline_prediction)[0]), [predictor.nodes for (predictor,) in model._predictors]
    )


def _plain(grown: _Grown, features: int) -> Trees:
    lines: list[tuple[int, int, float, bool, int, int]] = []
    leaves: list[int] = []
    values: list[float] = []
    for tree, nodes in enumerate(grown.tables):
        before = len(values)

        def walk(index: int, nodes: Any = nodes, tree: int = tree, before: int = before) -> None:
            node = nodes[index]
            if node["is_leaf"]:
                values.append(float(node["value"]))
                return
            if node["is_categorical"]:
                raise RuntimeError("scikit-learn split by categories, although all features are numbers")
            feature, threshold = int(node["feature_idx"]), float(node["num_threshold"])
            first = len(values) - before
            walk(int(node["left"]))
            lines.append((tree, feature, threshold, bool(node["missing_go_to_left"]), first, len(values) - before))
            walk(int(node["right"]))

        walk(0)
        leaves.append(len(values) - before)
    columns = [*(zip(*lines, strict=True) if lines else [()] * 6), leaves, values]
    kinds = (np.int64, np.int64, np.float64, np.bool_, np.int64, np.int64, np.int64, np.float64)
    return Trees(features, grown.base, *map(np.array, columns, kinds))
