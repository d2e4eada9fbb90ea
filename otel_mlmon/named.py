"""Numbers that stand for names: classes, and values of segments."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from otel_mlmon.columns import number_text
from otel_mlmon.values import Floats, Texts


def named(numbers: Floats, there: npt.NDArray[np.bool_]) -> Texts:
    """The numbers by the one name that each has whatever type it came in; none where `there` says so.

    >>> named(np.array([2.0, np.nan, 1.0, 2.0]), np.array([True, False, True, True]))
    Texts(codes=array([ 1, -1,  0,  1], dtype=int32), labels=['1', '2'])
    """
    values, found = np.unique(numbers[there], return_inverse=True)
    codes = np.full(len(numbers), -1, np.int32)
    codes[there] = found.reshape(-1)
    return Texts(codes, [number_text(value) for value in values.tolist()])
