"""A group: rules that share a model, a window and a reference. A rule file holds groups."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from otel_mlmon.rulefile.baseline import Baseline, ReferenceField
from otel_mlmon.rulefile.checks import Rule
from otel_mlmon.rulefile.patterns import Text, Texts
from otel_mlmon.rulefile.quantities import SECOND, FalseAlarms, PositiveDuration
from otel_mlmon.rulefile.rule import Labels


class Group(BaseModel):
    """Rules that are evaluated together. Durations are in ns; each rule already has the group's segments and labels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Text = Field(description="Name of the group, unique over all files.")
    model: Text = Field(description="The models that the rules are about; a glob.")
    interval: PositiveDuration = Field(
        60 * SECOND, json_schema_extra={"default": "1m"}, description="How often the rules are evaluated."
    )
    window: PositiveDuration = Field(
        3_600 * SECOND, json_schema_extra={"default": "1h"}, description="The period of predictions that is judged."
    )
    reference: ReferenceField = Field(
        Baseline("training"),
        json_schema_extra={"default": "training"},
        description="The normal state: the name of a reference, or a mapping of predictions to measure it on: trailing "
        "(a duration before the window), same_time_last (week or day; with count: how many), version: previous, "
        "version: NAME (the champion, in the same window), or segment (key=value). `bins` names the reference whose "
        "bins are used (default training).",
    )
    false_alarms: FalseAlarms | None = Field(
        None,
        description="Allowed rate of false alarms of all rules of the group for one model, such as '1 per month'. "
        "Thresholds follow from it, the reference and the number of rows; it replaces confidence.",
    )
    segments: Texts = Field((), description="Segment keys: each of their values is judged, as well as the whole.")
    labels: Labels = Field(default_factory=dict, description="Labels of every alert of the group.")
    rules: tuple[Rule, ...] = Field(json_schema_extra={"minItems": 1}, description="The rules.")

    @field_validator("rules", mode="after")
    @classmethod
    def _inherit(cls, rules: tuple[Rule, ...], info: ValidationInfo) -> tuple[Rule, ...]:
        return tuple(_with_group(rule, info.data) for rule in rules)

    def covers(self, model: str) -> bool:
        """Whether the group's rules apply to `model`."""
        return fnmatchcase(model, self.model)


def _with_group(rule: Rule, group: dict[str, Any]) -> Rule:
    segments = rule.segments if "segments" in rule.model_fields_set else group.get("segments", ())
    return rule.model_copy(update={"segments": segments, "labels": {**group.get("labels", {}), **rule.labels}})


@dataclass(frozen=True, slots=True)
class RuleFile:
    """A rule file without mistakes."""

    path: Path
    groups: tuple[Group, ...]
