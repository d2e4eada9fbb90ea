"""What predictions cost, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from otel_mlmon.stats.estimation.loss import Loss
    from otel_mlmon.values import Floats


def losses_of(loss: Loss, prediction: npt.NDArray[Any], truth: npt.NDArray[Any]) -> Floats:
    """The loss of each row: of two numbers, or of two codes of classes. Infinite or NaN where it is no number.

    >>> losses_of("squared_error", np.array([1.0, 5.0]), np.array([2.0, 2.0])).tolist()
    [1.0, 9.0]
    >>> losses_of("zero_one", np.array([0, 1]), np.array([0, 2])).tolist()
    [0.0, 1.0]
    """
    if loss == "zero_one":
        wrong: Floats = (prediction != truth).astype(np.float64)
        return wrong
    with np.errstate(over="ignore", invalid="ignore"):
        error: Floats = np.abs(prediction - truth)
        return error * error if loss == "squared_error" else error
