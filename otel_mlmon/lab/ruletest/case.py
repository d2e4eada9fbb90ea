"""The format of a file of unit tests."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from otel_mlmon.lab.simulate.faults import FAULTS
from otel_mlmon.lab.simulate.generate import Described, Generator, Scalar
from otel_mlmon.rulefile.messages import unknown
from otel_mlmon.rulefile.quantities import Duration, Number, PositiveDuration, Share

State = Literal["pending", "firing", "suppressed"]


class FileInput(Described):
    """Logged predictions in a file; paths are relative to the test file."""

    file: str = Field(description="CSV or Parquet.")
    timestamp: str = Field("", description="Column with the time of each prediction; without it, `every`.")
    every: PositiveDuration | None = Field(None, description="Time from one row to the next, in the order of the file.")
    prediction: str = Field("", description="Column with the prediction.")
    ground_truth: str = Field("", description="Column with the ground truth.")
    delay: Duration = Field(0, description="Time from a prediction to its ground truth.")
    exclude: tuple[str, ...] = Field((), description="Columns that are no features.")
    segments: tuple[str, ...] = Field((), description="Features that are segment keys.")
    reference: str = Field(
        "", description="CSV or Parquet of the reference, or an artefact; default: all rows of `file`."
    )


class FaultSpec(Described):
    """A fault, its period and its rows."""

    fault: str = Field(description="Its name.")
    field: str = Field("", description="The broken feature; (prediction) for the output.")
    start: Duration = Field(0, description="Since the start of the test.")
    end: Duration | None = Field(None, description="Since the start of the test; default: never.")
    fraction: Share = Field(1.0, description="Share of the rows.")
    segment: str = Field("", description="Only rows of this segment: key=value.")
    amount: Number | None = Field(None, description="How much: standard deviations, a factor, seconds.")
    value: Scalar = Field(None, description="The new constant.")
    other: str = Field("", description="The other column of a swap, the new name of a column.")

    @field_validator("fault")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in FAULTS:
            raise ValueError(unknown("fault", name, list(FAULTS)))
        return name


class ExpectedAlert(Described):
    """An expected alert. A missing key allows any value; a missing segment means the whole."""

    alert: str = Field(description="The rule's name.")
    feature: str | None = Field(None, description="The alert's feature or output.")
    segment: str = Field("", description="key=value.")
    state: State = Field("firing", description="pending, firing, or suppressed by its cause.")
    finding: str | None = Field(None, description="The finding, in a word.")
    severity: str | None = Field(None, description="Label severity.")

    def __str__(self) -> str:
        """Describe the alert for a message."""
        return name_of(
            self.state, self.alert, self.feature or "", self.segment, self.finding or "", self.severity or ""
        )


class Expectation(Described):
    """The state at a time: exactly the listed alerts fire; pending and suppressed alerts are checked if listed."""

    at: Duration = Field(description="Since the start of the test.")
    alerts: tuple[ExpectedAlert, ...] = Field(description="May be empty: nothing fires.")


class Case(Described):
    """One unit test."""

    name: str = Field(description="Name of the test.")
    model: str = Field("model", description="The model's name; groups that do not cover it are not evaluated.")
    version: str = Field("1", description="The model's version.")
    input: Generator | FileInput = Field(description="A history without a fault.")
    faults: tuple[FaultSpec, ...] = Field((), description="The faults, injected in this order.")
    expect: tuple[Expectation, ...] = Field((), description="States at times.")
    fires: tuple[ExpectedAlert, ...] | None = Field(None, description="Exactly the alerts that fire at any time.")
    seed: int = Field(0, description="Another seed draws other rows.")


class Tests(Described):
    """A file of unit tests."""

    rule_files: tuple[str, ...] = Field(min_length=1, description="Relative to this file.")
    tests: tuple[Case, ...] = Field(min_length=1, description="The tests.")


def name_of(state: str, alert: str, feature: str, segment: str, finding: str = "", severity: str = "") -> str:
    """Describe an alert in one line."""
    about = " ".join(part for part in (alert, feature, segment) if part)
    more = ", ".join(part for part in (finding, severity) if part)
    return f"{state} {about}" + (f" ({more})" if more else "")
