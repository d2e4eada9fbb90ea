"""`mlmon reference create`: the order of the rows, importances, and a hint about a time among the features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from otel_mlmon.cli.main import cli
from otel_mlmon.reference.artefact import read_artefact


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Make requests that are similar for a hundred rows at a time, out of order in the file."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "at": pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(10_000), unit="min"),
            "load": np.repeat(rng.normal(size=100), 100) + 0.1 * rng.normal(size=10_000),
            "alone": rng.normal(size=10_000),
            "gaps": np.where(np.arange(10_000) // 500 % 2 == 0, np.nan, 1.5),
        }
    )
    path = tmp_path / "log.csv"
    frame.sample(frac=1, random_state=1).to_csv(path, index=False)
    return path


def _create(log: Path, *more: str) -> Result:
    arguments = ["reference", "create", str(log), "--model", "m", "--output", str(log.with_suffix(".yaml")), *more]
    return CliRunner().invoke(cli, arguments)


def test_timestamps_give_design_effects(log: Path) -> None:
    done = _create(log, "--timestamp-column", "at")
    assert (done.exit_code, done.stderr) == (0, "")
    made = read_artefact(log.with_suffix(".yaml"))
    assert "at" not in made.fields
    assert made.fields["load"].design_effects["values"][100] > 50
    assert made.fields["alone"].design_effects.get("values", {100: 1.0})[100] < 1.5
    assert made.fields["gaps"].design_effects["missing"][100] > 50
    assert made.rows == 10_000


def test_a_time_among_the_features_is_pointed_out(log: Path) -> None:
    done = _create(log)
    assert done.exit_code == 0
    assert "note: 'at' looks like a time" in done.stderr
    assert read_artefact(log.with_suffix(".yaml")).fields["load"].design_effects == {}
    assert "note" not in _create(log, "--exclude", "at").stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("load: 3\nalone: 0.5\n", ""),
        ("laod: 3\n", "no feature 'laod'; there are"),
        ("load: much\n", "load: found 'much', allowed is a number from 0"),
        ("load: -1\n", "load: found -1, allowed is a number from 0"),
        ("- load\n", "found list, allowed is a mapping of features to numbers"),
        ("load: [\n", "cannot be read"),
    ],
)
def test_importances_come_from_a_file(log: Path, text: str, says: str) -> None:
    path = log.with_name("importances.yaml")
    path.write_text(text)
    done = _create(log, "--exclude", "at", "--importances", str(path))
    if says:
        assert says in str(done.exception)
    else:
        assert done.exit_code == 0
        assert read_artefact(log.with_suffix(".yaml")).importances == {"load": 3.0, "alone": 0.5}
