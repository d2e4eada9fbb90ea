"""Parse the durations, shares, numbers and counts of a rule file."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, WithJsonSchema

SECOND: Final = 1_000_000_000
_UNITS: Final = {
    "y": 365 * 86_400 * SECOND,
    "w": 7 * 86_400 * SECOND,
    "d": 86_400 * SECOND,
    "h": 3_600 * SECOND,
    "m": 60 * SECOND,
    "s": SECOND,
    "ms": 1_000_000,
}
_LONGEST: Final = 2**63 - 1
# Units at most once each, largest first: the grammar of Prometheus.
_DURATION_PATTERN: Final = "".join(rf"(?:([0-9]{{1,18}}){unit})?" for unit in _UNITS)
_DURATION: Final = re.compile(_DURATION_PATTERN, re.ASCII)
_DURATION_EXAMPLES: Final = "a duration such as 500ms, 30s, 5m, 1h30m, 7d, 1w"
_NUMBER: Final = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?", re.ASCII)


def shown(value: object) -> str:
    """Return `value` for a message: its kind and its text, cut when long, printable everywhere."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping" + (" with " + ", ".join(quoted(key) for key in list(value)[:3]) if value else "")
    if isinstance(value, (list, tuple)):
        return "a list" if value else "an empty list"
    if isinstance(value, bool):
        return "true" if value else "false"
    return quoted(value) if isinstance(value, str) else str(value)


def quoted(value: object) -> str:
    """Return `value` as text in double quotes, cut when long, without control characters."""
    text = str(value)
    text = text if len(text) <= 60 else text[:57] + "..."
    return '"' + "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text) + '"'


def parse_duration(value: object) -> int:
    """Parse a duration in the notation of Prometheus into ns; 0 needs no unit."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if value == 0:
            return 0
        raise ValueError(f"found {value} without a unit; add one, e.g. {value}s")
    if not isinstance(value, str):
        raise ValueError(f"found {shown(value)}, allowed is {_DURATION_EXAMPLES}")
    text = value.strip()
    if text == "0":
        return 0
    if _NUMBER.fullmatch(text):
        raise ValueError(f"found {quoted(value)} without a unit; add one, e.g. {text}s")
    match = _DURATION.fullmatch(text)
    if not text or not match:
        raise ValueError(f"found {quoted(value)}, allowed is {_DURATION_EXAMPLES}")
    total = sum(int(count or 0) * size for count, size in zip(match.groups(), _UNITS.values(), strict=True))
    if total > _LONGEST:
        raise ValueError(f"found {quoted(value)}, the longest duration is 292y")
    return total


def format_duration(nanoseconds: int) -> str:
    """Return the shortest text that `parse_duration` reads back, without parts below 1 ms."""
    parts = []
    for unit, size in _UNITS.items():
        count, nanoseconds = divmod(nanoseconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _longer_than_zero(value: object) -> int:
    duration = parse_duration(value)
    if duration == 0:
        raise ValueError(f"found {shown(value)}, must be longer than 0s")
    return duration


def finite(value: float) -> bool:
    """Whether a number is neither NaN nor infinite, and fits a double."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def parse_number(value: object) -> float:
    """Parse a finite number, or a percentage as a fraction."""
    number: float | None = None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and finite(value):
        number = float(value)
    elif isinstance(value, str):
        text = value.strip()
        digits = text.removesuffix("%").rstrip()
        if _NUMBER.fullmatch(digits):
            number = _percent(digits) if text.endswith("%") else float(digits)
    if number is None or not finite(number):
        raise ValueError(f"found {shown(value)}, allowed is a number such as 0.2 or a percentage such as 20%")
    return number


def _percent(digits: str) -> float:
    # The shift of the decimal point makes 99.9% the double nearest to 0.999; a division does not.
    return float(digits) / 100 if "e" in digits.lower() else float(f"{digits}e-2")


def _not_negative(value: object) -> float:
    number = parse_number(value)
    if number < 0:
        raise ValueError(f"found {shown(value)}, allowed is 0 or more")
    return number


def _share(value: object) -> float:
    try:
        number = parse_number(value)
    except ValueError:
        raise ValueError(f"found {shown(value)}, allowed is a share from 0% to 100%, written 2% or 0.02") from None
    if 1 < number <= 100 and not str(value).strip().endswith("%"):
        raise ValueError(f"found {value}, allowed is a share from 0% to 100%; write {value}% or {number / 100:g}")
    if not 0 <= number <= 1:
        raise ValueError(f"found {shown(value)}, allowed is a share from 0% to 100%, written 2% or 0.02")
    return number


def _margin(value: object) -> float:
    number = parse_number(value)
    if number < 0:
        raise ValueError(f"found {shown(value)}, allowed is 0% or more; the direction follows from the metric")
    if number > 1 and not str(value).strip().endswith("%"):
        raise ValueError(f"found {value}; write {value}% for {value} per cent, or {number * 100:g}% for {value} times")
    return number


def _confidence(value: object) -> float:
    number = _share(value)
    if not 0.5 <= number < 1:
        raise ValueError(f"found {shown(value)}, allowed is from 50% to below 100%, e.g. 99%")
    return number


_PERIODS: Final = {
    "hour": 3_600,
    "day": 86_400,
    "week": 604_800,
    "month": 2_629_800,
    "quarter": 7_889_400,
    "year": 31_557_600,
}
_BUDGET: Final = re.compile(rf"([0-9]+(?:\.[0-9]+)?) per (?:([0-9]+) )?({'|'.join(_PERIODS)})s?", re.ASCII)


def parse_budget(value: object) -> int:
    """Parse a budget of false alarms into the ns of event time between two false alarms."""
    match = _BUDGET.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match or float(match[1]) == 0 or match[2] == "0":
        raise ValueError(f"found {shown(value)}, allowed is a number per {', '.join(_PERIODS)}, such as 1 per month")
    period = _PERIODS[match[3]] * SECOND * int(match[2] or 1)
    return min(round(period / float(match[1])), _LONGEST)


def _count(value: object) -> int:
    text = value.strip() if isinstance(value, str) else value
    if isinstance(text, str) and re.fullmatch(r"[0-9]{1,18}", text, re.ASCII):
        text = int(text)
    if isinstance(text, bool) or not isinstance(text, int) or text < 1:
        raise ValueError(f"found {shown(value)}, allowed is a whole number from 1")
    return text


def _schema(*alternatives: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": list(alternatives)} if len(alternatives) > 1 else alternatives[0])


def _number_schema(**limits: float) -> WithJsonSchema:
    return _schema({"type": "number", **limits}, _PERCENT_TEXT)


# `(?=.)`: at least one unit.
_DURATION_TEXT: Final = {"type": "string", "pattern": f"^(?=.){_DURATION_PATTERN}$|^0$"}
_PERCENT_TEXT: Final = {"type": "string", "pattern": r"^[-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?\s*%?$"}
_ZERO: Final = {"const": 0}

Duration = Annotated[int, BeforeValidator(parse_duration), _schema(_DURATION_TEXT, _ZERO)]
PositiveDuration = Annotated[int, BeforeValidator(_longer_than_zero), _schema(_DURATION_TEXT)]
Number = Annotated[float, BeforeValidator(parse_number), _number_schema()]
Size = Annotated[float, BeforeValidator(_not_negative), _number_schema(minimum=0)]
Share = Annotated[float, BeforeValidator(_share), _number_schema(minimum=0, maximum=1)]
Margin = Annotated[float, BeforeValidator(_margin), _number_schema(minimum=0, maximum=1)]
Confidence = Annotated[float, BeforeValidator(_confidence), _number_schema(minimum=0.5, exclusiveMaximum=1)]
FalseAlarms = Annotated[
    int, BeforeValidator(parse_budget), _schema({"type": "string", "pattern": f"^{_BUDGET.pattern}$"})
]
Count = Annotated[
    int, BeforeValidator(_count), _schema({"type": "integer", "minimum": 1}, {"type": "string", "pattern": "^[0-9]+$"})
]
