"""Rules inferred from a reference: they load, name their source, and are quiet on the reference's own data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner
from references import reference_of

from otel_mlmon.cli.main import cli
from otel_mlmon.lab.infer import infer
from otel_mlmon.reference.artefact import write_artefact
from otel_mlmon.reference.estimators import with_estimators
from otel_mlmon.reference.table import Columns, rows_of
from otel_mlmon.rulefile import load, parse_text
from otel_mlmon.values import Reference


@pytest.fixture
def reference() -> Reference:
    rng = np.random.default_rng(0)
    n = 3000
    area = rng.normal(100, 20, n)
    frame = pd.DataFrame(
        {
            "area": area,
            "rooms": rng.integers(1, 7, n),
            "city": rng.choice(["A", "B"], n),
            "name": [f"house {i}" for i in range(n)],
            "p": area,
            "y": area + rng.normal(0, 5, n),
        }
    )
    frame.loc[:300, "area"] = np.nan
    return reference_of(frame, model="prices", prediction="p", ground_truth="y", segments=["city"])


def test_inferred_rules_load_and_are_few_and_carry_their_figures(reference: Reference) -> None:
    text = infer(reference, false_alarms="1 per month")
    groups = parse_text(text).groups
    assert [group.name for group in groups] == ["prices-data", "prices-drift", "prices-performance"]
    assert sum(len(group.rules) for group in groups) <= 15
    assert max(map(len, text.splitlines())) <= 125
    assert "area (float), rooms (int), city (string)" in text
    assert "area 10.0%" in text
    assert "rooms 1 to 6" in text
    assert "root mean squared 5." in text
    assert groups[2].rules[0].segments == ("city",)
    assert groups[0].rules[0].labels == {"severity": "critical"}
    month = 2_629_800_000_000_000
    assert all(group.false_alarms == 3 * month for group in groups)  # the budget is shared


def test_rules_of_values_leave_out_names_and_ids(reference: Reference) -> None:
    groups = parse_text(infer(reference)).groups
    left_out = {rule.alert for group in groups for rule in group.rules if "!name" in getattr(rule, "features", ())}
    assert {"FeatureOutOfRange", "DefaultValueChanged", "FeatureDrift", "CategoryDrift"} <= left_out
    assert "FeatureMissing" not in left_out


def test_reference_with_loss_models_brings_slice_and_estimate_rules(reference: Reference) -> None:
    rng = np.random.default_rng(1)
    area = rng.normal(100, 20, 3000)
    frame = pd.DataFrame({"area": area, "p": area, "y": area + rng.normal(0, 5, 3000)})
    rows = rows_of(Path("f"), pa.Table.from_pandas(frame), Columns("p", "y"), "prices", "1")
    made, why = with_estimators(reference_of(frame, model="prices", prediction="p", ground_truth="y"), rows)
    assert not why
    found = {rule.alert for group in parse_text(infer(made)).groups for rule in group.rules}
    assert {"WeakSpots", "ErrorWillGrow"} <= found
    assert not {"WeakSpots", "ErrorWillGrow"} & {r.alert for g in parse_text(infer(reference)).groups for r in g.rules}


def test_odd_names_are_quoted() -> None:
    frame = pd.DataFrame({"a: b": [1.0, 2.0, 3.0], "#c": ["x", "y", "'z\""]})
    odd = reference_of(frame, model="no: 1")
    assert parse_text(infer(odd)).groups[0].model == "no: 1"


def test_the_command_writes_a_file_that_loads(reference: Reference, tmp_path: Path) -> None:
    artefact, rules = tmp_path / "training.yaml", tmp_path / "rules.yaml"
    write_artefact(reference, artefact)
    given = ["rules", "infer", "--reference", str(artefact)]
    answer = CliRunner().invoke(cli, [*given, "--window", "30m", "--interval", "5m", "--output", str(rules)])
    assert answer.exit_code == 0, answer.output
    (file,) = load([rules])
    assert {(group.window, group.interval) for group in file.groups} == {(1_800_000_000_000, 300_000_000_000)}
    assert CliRunner().invoke(cli, given).output.startswith("# Rules for prices")
    for wrong, said in ((["--window", "1"], "without a unit"), (["--false-alarms", "often"], "such as 1 per month")):
        assert said in str(CliRunner().invoke(cli, [*given, *wrong]).exception)
    assert "--model is missing" in str(CliRunner().invoke(cli, ["rules", "infer"]).exception)
