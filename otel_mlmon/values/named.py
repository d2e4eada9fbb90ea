"""Numbers that stand for names: classes, and values of segments."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from otel_mlmon.values.arrays import Floats
from otel_mlmon.values.cells import Texts


def named(numbers: Floats, known: npt.NDArray[np.bool_], spell: Callable[[float], str]) -> Texts:
    """Spell each number once; rows that are not `known` get no name.

    >>> named(np.array([2.0, np.nan, 1.0, 2.0]), np.array([True, False, True, True]), "{:g}".format)
    Texts(codes=array([ 1, -1,  0,  1], dtype=int32), labels=['1', '2'])
    """
    values, codes_of_known = np.unique(numbers[known], return_inverse=True)
    codes = np.full(len(numbers), -1, np.int32)
    codes[known] = codes_of_known.reshape(-1)
    return Texts(codes, [spell(value) for value in values.tolist()])
