"""Gradient boosting by scikit-learn, kept as plain trees. The only place that imports it, and only when it is called."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from otel_mlmon.stats.estimation.trees import MAX_LEAVES, Trees

if TYPE_CHECKING:
    from otel_mlmon.values import Floats

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
