"""The figure of a check in words, the same on pages, in the terminal and in messages."""

from __future__ import annotations

from typing import Final

_PARITY: Final = {
    "rate": "predictions that differ from the shadow's",
    "size": "distance from the shadow, in its spread",
}
# Integrity checks whose figure is a share of the rows.
_SHARES: Final = frozenset({"missing", "type", "range", "default_value", "stuck", "format", "duplicates", "expression"})


def measured(check: str, method: str) -> str:
    """Name the value of a verdict.

    >>> measured("slices", "rmse"), measured("drift", "psi"), measured("integrity", "missing")
    ('rmse of the worst slice, beyond what is expected', 'psi', 'missing, share of the rows')
    """
    name = method.replace("_", " ")
    if check == "integrity":
        return f"{name}, share of the rows" if method in _SHARES else name
    return {
        "slices": f"{name} of the worst slice, beyond what is expected",
        "fairness": f"{name}, largest gap",
        "estimate": f"{name}, estimated",
        "budget": f"burn rate of the {name} budget",
        "parity": _PARITY.get(method, name),
    }.get(check, name)


def is_share(check: str, method: str) -> bool:
    """Whether the value is a part of something, written as a percentage."""
    return check in ("slices", "fairness", "parity") or (check == "integrity" and method in _SHARES)
