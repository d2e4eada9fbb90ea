"""The baseline of a group: a stored reference, or earlier or other predictions measured on the reference's bins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, WithJsonSchema

from otel_mlmon.rulefile.patterns import text
from otel_mlmon.rulefile.quantities import parse_duration, quoted, shown

_DAY: Final = 86_400_000_000_000
WEEK: Final = 7 * _DAY  # predictions of the previous version that a new version is compared with
_CYCLES: Final = {"day": _DAY, "week": WEEK}
_SOURCES: Final = ("trailing", "same_time_last", "version", "segment")


@dataclass(frozen=True, slots=True)
class Baseline:
    """`name`: the stored reference, which always gives the bins. At most one other source is set.

    `trailing`: ns before the window. `cycle` (ns) and `count`: the same hour of the last `count` days or weeks.
    `previous_version`: the version before. `champion`: another version in the same window. `segment`: "key=value".
    """

    name: str
    trailing: int = 0
    cycle: int = 0
    count: int = 0
    previous_version: bool = False
    segment: str = ""
    champion: str | None = None

    @property
    def stored(self) -> bool:
        """Whether the stored reference itself is the baseline."""
        others = (self.trailing, self.cycle, self.previous_version, self.segment)
        return not any(others) and self.champion is None

    @property
    def reach(self) -> int:
        """How far the baseline's predictions reach back before the window, in ns."""
        return WEEK if self.previous_version else max(self.trailing, self.cycle * self.count)

    def __str__(self) -> str:
        """Describe the baseline for people."""
        if self.trailing:
            return f"the {self.trailing / _DAY:g} days before"
        if self.cycle:
            return f"the same time of the {self.count} {'weeks' if self.cycle > _DAY else 'days'} before"
        if self.previous_version:
            return "the previous model version"
        if self.champion is not None:
            return f"version {self.champion or '(none)'} in the same window"
        return f"segment {self.segment}" if self.segment else self.name


def _baseline(value: object) -> Baseline:
    if not isinstance(value, dict):
        return Baseline(text(value))
    sources = [key for key in value if key in _SOURCES]
    if len(sources) != 1:
        raise ValueError(f"found {shown(value)}, allowed is a name or a mapping with one of {', '.join(_SOURCES)}")
    source = sources[0]
    unknown = sorted(set(value) - {source, "bins"} - ({"count"} if source == "same_time_last" else set()))
    if unknown:
        raise ValueError(f"key {quoted(unknown[0])} is not allowed beside {source}")
    bins, setting = text(value.get("bins", "training")), value[source]
    if source == "trailing":
        return _trailing(bins, setting)
    if source == "same_time_last":
        return _same_time(bins, setting, value.get("count", 4))
    return _version(bins, setting) if source == "version" else _segment(bins, setting)


def _trailing(bins: str, setting: object) -> Baseline:
    duration = parse_duration(setting)
    if not duration:
        raise ValueError("trailing: must be longer than 0s")
    return Baseline(bins, trailing=duration)


def _same_time(bins: str, setting: Any, count: object) -> Baseline:
    if setting not in _CYCLES:
        raise ValueError(f"same_time_last: found {shown(setting)}, allowed is day or week")
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= 52:
        raise ValueError(f"count: found {shown(count)}, allowed is a whole number from 1 to 52")
    return Baseline(bins, cycle=_CYCLES[setting], count=count)


def _version(bins: str, setting: object) -> Baseline:
    if setting == "previous":
        return Baseline(bins, previous_version=True)
    if isinstance(setting, (bool, int, float)):
        raise ValueError(
            f"version: found {shown(setting)}, allowed is previous or the name of a version; put it in quotes"
        )
    return Baseline(bins, champion=text(setting))


def _segment(bins: str, setting: object) -> Baseline:
    segment = text(setting)
    if "=" not in segment:
        raise ValueError(f"segment: found {quoted(segment)}, allowed is key=value")
    return Baseline(bins, segment=segment)


ReferenceField = Annotated[
    Baseline,
    BeforeValidator(_baseline),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {
                    "type": "object",
                    "properties": {
                        "trailing": {"type": "string"},
                        "same_time_last": {"enum": ["day", "week"]},
                        "count": {"type": "integer", "minimum": 1, "maximum": 52},
                        "version": {"type": "string", "minLength": 1},
                        "segment": {"type": "string", "pattern": "="},
                        "bins": {"type": "string", "minLength": 1},
                    },
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
