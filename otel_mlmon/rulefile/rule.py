"""The base of all rules: the keys that every rule has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from otel_mlmon.rulefile.patterns import Globs, Label, OutputGlobs, Text, Texts, chosen, output_glob, output_name
from otel_mlmon.rulefile.quantities import Confidence, Count, Duration, FalseAlarms, quoted
from otel_mlmon.rulefile.templates import required_labels
from otel_mlmon.wire.semconv import FIELD_SHADOW

Family = Literal["integrity", "drift", "performance", "estimate", "fairness", "slices", "budget", "parity"]

_LABEL_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)


def _label_name(value: str) -> str:
    if not _LABEL_NAME.fullmatch(value):
        raise ValueError(f"name {quoted(value)}, allowed are letters, digits and _, not starting with a digit")
    if value.startswith("__") or value == "alertname":
        raise ValueError(f"name {quoted(value)} is reserved by Prometheus")
    return value


def _not_a_template(value: str) -> str:
    if "{{" in value or "{%" in value:
        raise ValueError(f"found {quoted(value)}, but labels are no templates; only annotations are")
    return value


def _template(value: str) -> str:
    required_labels(value)
    return value


LabelName = Annotated[Text, AfterValidator(_label_name)]
Labels = Mapping[LabelName, Annotated[Label, AfterValidator(_not_a_template)]]
Annotations = Mapping[LabelName, Annotated[str, AfterValidator(_template)]]


def problem(message: str, *at: str | int) -> PydanticCustomError:
    """Make an error in the validator of a whole mapping; `at` is the path from the mapping to the mistake."""
    return PydanticCustomError("problem", "{message}", {"message": message, "at": at})


class RuleBase(BaseModel):
    """The keys of every rule. Durations are in ns; shares and percentages are fractions."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    family: ClassVar[Family]

    alert: Text = Field(description="Name of the alert, unique in its group.")
    segments: Texts = Field(
        (), description="Segment keys: each of their values is judged, as well as the whole; replaces the group's."
    )
    confidence: Confidence = Field(
        0.99,
        json_schema_extra={"default": "99%"},
        description="Confidence of a breach: its p-value, corrected for all targets that the rule judges at once "
        "(Benjamini-Hochberg), must be below 1 - confidence. Not used with false_alarms.",
    )
    false_alarms: FalseAlarms | None = Field(
        None,
        description="Allowed rate of false alarms, such as '1 per month', in place of a threshold. Rules of a group "
        "share the group's rate.",
    )
    for_: Duration = Field(
        0,
        alias="for",
        json_schema_extra={"default": "0s"},
        description="How long a breach must last before the alert fires.",
    )
    keep_firing_for: Duration = Field(
        0, json_schema_extra={"default": "0s"}, description="How long the alert goes on firing after the last breach."
    )
    no_data: Literal["keep", "alert", "resolve"] = Field(
        "keep",
        description="A window without enough data: keep the state, count as a breach (alert), or end it (resolve).",
    )
    labels: Labels = Field(default_factory=dict, description="Labels of the alert, added to the group's.")
    annotations: Annotations = Field(
        default_factory=dict, description="Texts for people, templates such as '{{ feature }}: {{ value | percent }}'."
    )

    @property
    def method(self) -> str:
        """The value of the family's key: missing, psi, rmse …"""
        return str(getattr(self, self.family))


def _features(data: dict[str, Any]) -> tuple[str, ...]:
    return () if data.get("outputs") else ("*",)


class FieldRule(RuleBase):
    """A rule that judges features and outputs one by one."""

    outputs: OutputGlobs = Field(
        (), min_length=1, description="Outputs: prediction, score (every class) or 'score GLOB' (some classes)."
    )
    features: Globs = Field(
        default_factory=_features,
        min_length=1,
        description="Globs of features; '!glob' leaves some out. Default: all; none when outputs is given.",
    )
    min_rows: Count = Field(30, description="With fewer rows the verdict is no_data.")

    def selects(self, field: str) -> bool:
        """Whether the rule judges `field`: a feature's name, or an output's name in `semconv`."""
        output = output_name(field)
        if field == FIELD_SHADOW:  # only parity rules read it
            return False
        if output is None:
            return chosen(field, self.features)
        return chosen(output, [output_glob(pattern) for pattern in self.outputs])
