"""Upper tail of Student's law, for tests of a mean."""

from __future__ import annotations


def t_tail(difference: float, standard_error: float, freedom: int) -> float:
    """P(T >= difference / standard_error), T having Student's law with `freedom` degrees (1 or more).

    Without any spread the answer is certain: 0 when the difference is above 0, else 1.

    >>> round(t_tail(2.0, 1.0, 10), 4)
    0.0367
    >>> t_tail(-1.0, 0.0, 10)
    1.0
    """
    if standard_error == 0:
        return 0.0 if difference > 0 else 1.0
    from scipy.special import stdtr

    return float(stdtr(freedom, -difference / standard_error))
