"""Gradient-boosted regression trees: grown by scikit-learn, kept as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from otel_mlmon.values import Floats


MAX_LEAVES: Final = 32  # of a tree: one bit each
MAX_TREES: Final = 500
MAX_FEATURES: Final = 2_000
_ROWS: Final = 20_000  # that are evaluated at a time
_ALL: Final = np.uint32(0xFFFFFFFF)

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Trees:
    """A sum of trees. The leaves of a tree are numbered from left to right.

    Inner nodes, one line each: the `tree`, the `feature` that is asked whether it is at most `threshold` (then left), whether
    a missing value goes left (`missing_left`), and the leaves in its left part, `first` (included) to `last` (not).
    `leaves` has the number of leaves of each tree, `values` what is in them, tree by tree; `base` is added to the sum.
    Raises ValueError when these do not fit together. No line points to another one, so that no file can make this loop.
    """

    features: int
    base: float
    tree: Integers
    feature: Integers
    threshold: Floats
    missing_left: npt.NDArray[np.bool_]
    first: Integers
    last: Integers
    leaves: Integers
    values: Floats

    def __post_init__(self) -> None:
        nodes = len(self.tree)
        lengths = {len(column) for column in (self.feature, self.threshold, self.missing_left, self.first, self.last)}
        if lengths != {nodes} or not 0 < len(self.leaves) <= MAX_TREES or not 0 <= self.features <= MAX_FEATURES:
            raise ValueError("the trees' arrays do not fit together")
        if ((self.leaves < 1) | (self.leaves > MAX_LEAVES)).any() or int(self.leaves.sum()) != len(self.values):
            raise ValueError("the trees' leaves do not fit their values")
        inside = (
            (self.tree >= 0) & (self.tree < len(self.leaves)) & (self.feature >= 0) & (self.feature < self.features)
        )
        if not inside.all() or not ((self.first >= 0) & (self.first < self.last)).all():
            raise ValueError("a tree's node is out of range")
        if nodes and not (self.last < self.leaves[self.tree]).all():  # the last leaf is never in a left part
            raise ValueError("a tree's node is out of range")
        if not np.isfinite(self.values).all() or np.isnan(self.threshold).any() or not np.isfinite(self.base):
            raise ValueError("a tree has a value that is no number")

    def predict(self, rows: Floats) -> Floats:
        """The sum for each row (rows × features); NaN is a missing value.

        A node whose answer is no rules out the leaves of its left part; the leftmost leaf that is left is where the row ends
        (Lucchese et al., QuickScorer, SIGIR 2015). What all thresholds of a feature rule out together is looked up.

        >>> stump = Trees(1, 1.0, *map(np.array, ([0], [0], [5.0], [True], [0], [1], [2], [10.0, 20.0])))
        >>> stump.predict(np.array([[5.0], [5.1], [np.nan]])).tolist()
        [11.0, 21.0, 11.0]
        """
        if rows.ndim != 2 or rows.shape[1] != self.features:
            raise ValueError(f"the trees need {self.features} features, found {rows.shape[1:]}")
        tables = [self._ruled_out(feature) for feature in range(self.features)]
        offsets = np.concatenate([[0], np.cumsum(self.leaves)[:-1]])
        return np.concatenate(
            [np.zeros(0), *(self._some(rows[i : i + _ROWS], tables, offsets) for i in range(0, len(rows), _ROWS))]
        )

    def _some(self, rows: Floats, tables: list[tuple[Floats, npt.NDArray[np.uint32]]], offsets: Integers) -> Floats:
        left = np.full((len(rows), len(self.leaves)), _ALL)
        for column, (thresholds, table) in zip(rows.T, tables, strict=True):
            if len(thresholds):
                left &= table[np.where(np.isnan(column), len(thresholds) + 1, np.searchsorted(thresholds, column))]
        lowest = left & (~left + np.uint32(1))
        leaf = np.bitwise_count(lowest - np.uint32(1))
        found: Floats = self.base + self.values[offsets + leaf].sum(axis=1)
        return found

    def _ruled_out(self, feature: int) -> tuple[Floats, npt.NDArray[np.uint32]]:
        """The feature's thresholds in order, and the leaves (bits) of each tree that remain by how many of them are exceeded.

        The last line of the table is for a missing value.
        """
        nodes = np.flatnonzero(self.feature == feature)
        thresholds, place = np.unique(self.threshold[nodes], return_inverse=True)
        table = np.full((len(thresholds) + 2, len(self.leaves)), _ALL)
        left_part = (np.uint64(1) << self.last[nodes].astype(np.uint64)) - (
            np.uint64(1) << self.first[nodes].astype(np.uint64)
        )
        remain = (~left_part).astype(np.uint32)
        np.bitwise_and.at(table, (place.reshape(-1) + 1, self.tree[nodes]), remain)
        table[:-1] = np.bitwise_and.accumulate(table[:-1], axis=0)
        right = ~self.missing_left[nodes]
        np.bitwise_and.at(table, (np.full(int(right.sum()), len(table) - 1), self.tree[nodes][right]), remain[right])
        return thresholds, table


# Those of LightGBM's regressor, which NannyML uses as it is.
TREES: Final = 100
LEARNING_RATE: Final = 0.1
LEAVES: Final = MAX_LEAVES - 1
SMALLEST_LEAF: Final = 20
_CHECKED: Final = 2_000  # rows on which the trees are compared with scikit-learn's own prediction
_TOLERANCE: Final = 1e-9


def available() -> bool:
    """Whether scikit-learn is installed.

    >>> available()
    True
    """
    return find_spec("sklearn") is not None


def boosted(rows: Floats, target: Floats) -> Trees:
    """Trees that predict `target` from `rows` (rows × features, NaN for a missing value), fitted to the squared error.

    Source: Ke et al., LightGBM, NeurIPS 2017, as scikit-learn's HistGradientBoostingRegressor has it. The layout of its trees
    is private: RuntimeError when what was read of them does not predict what scikit-learn does.

    >>> x = np.linspace(0, 1, 200)[:, None]
    >>> fitted = boosted(x, np.where(x[:, 0] > 0.5, 3.0, 1.0))
    >>> fitted.predict(np.array([[0.2], [0.8]])).round(3).tolist()
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
    holes = np.where((np.arange(sample.size) % 3 == 0).reshape(sample.shape), np.nan, sample)
    with threadpool_limits(1, "openmp"):  # threads that wait for one another take many times as long on a busy machine
        model.fit(rows, target)
        expected = [(checked, model.predict(checked)) for checked in (sample, holes)]
    found = _plain(model, rows.shape[1])
    for checked, predicted in expected:
        error = np.abs(found.predict(checked) - predicted).max()
        if not error <= _TOLERANCE * scale:
            raise RuntimeError(
                f"scikit-learn's trees are laid out in another way than expected: they differ by {error}"
            )
    return found


def _plain(model: Any, features: int) -> Trees:
    """The trees of a fitted HistGradientBoostingRegressor."""
    lines: list[tuple[int, int, float, bool, int, int]] = []
    leaves: list[int] = []
    values: list[float] = []
    for tree, (predictor,) in enumerate(model._predictors):
        nodes = predictor.nodes
        before = len(values)

        def walk(index: int, nodes: Any = nodes, tree: int = tree, before: int = before) -> None:
            node = nodes[index]
            if node["is_leaf"]:
                values.append(float(node["value"]))
                return
            if node["is_categorical"]:
                raise RuntimeError("scikit-learn split by categories, although all features are numbers")
            first = len(values) - before
            walk(int(node["left"]))
            lines.append((tree, int(node["feature_idx"]), float(node["num_threshold"]), bool(node["missing_go_to_left"]),
                          first, len(values) - before))  # fmt: skip
            walk(int(node["right"]))

        walk(0)
        leaves.append(len(values) - before)
    columns = list(zip(*lines, strict=True)) or [()] * 6
    tree_, feature, threshold, missing_left, first_, last = columns
    return Trees(
        features,
        float(np.ravel(model._baseline_prediction)[0]),
        np.array(tree_, np.int64),
        np.array(feature, np.int64),
        np.array(threshold, np.float64),
        np.array(missing_left, np.bool_),
        np.array(first_, np.int64),
        np.array(last, np.int64),
        np.array(leaves, np.int64),
        np.array(values, np.float64),
    )
