"""`mlmon reference create` makes estimators, and figures of metrics that need each row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score
from stats.estimates import CLASSES, THREE, block_of, houses, loans, reference_of, three

from otel_mlmon.cli.main import cli
from otel_mlmon.reference.artefact import read_artefact
from otel_mlmon.reference.outcome_metrics import metric_key
from otel_mlmon.reference.table import Columns
from otel_mlmon.values import Reference
from otel_mlmon.window.outcome_rows import outcomes


def _create(frame: pd.DataFrame, tmp_path: Path, *more: str) -> tuple[Result, Reference | None]:
    source, output = tmp_path / "rows.parquet", tmp_path / "m.yaml"
    frame.to_parquet(source)
    arguments = ["reference", "create", str(source), "--model", "m", "--output", str(output)]
    done = CliRunner().invoke(cli, [*arguments, *more])
    return done, read_artefact(output) if output.exists() else None


TRUTH = ("--prediction-column", "predicted", "--ground-truth-column", "truth")


def test_with_ground_truth_errors_can_be_estimated(tmp_path: Path) -> None:
    done, made = _create(houses(0, 500), tmp_path, *TRUTH)
    assert done.stderr == ""
    assert "500 with ground truth, rmse, mae can be estimated" in done.stdout
    assert made is not None
    assert made.estimators is not None
    assert set(made.estimators.losses) == {"squared_error", "absolute_error"}


def test_with_scores_a_classifier_can_be_estimated(tmp_path: Path) -> None:
    done, made = _create(loans(0, 500), tmp_path, *TRUTH, "--score-column", "yes=score")
    assert done.stderr == ""
    assert "accuracy, precision, recall, f1, roc_auc can be estimated" in done.stdout
    assert made is not None
    assert made.estimators is not None
    assert set(made.estimators.losses) == {"zero_one"}
    assert "(score yes)" in made.fields
    assert "score" not in made.fields


def test_missing_scores_are_named(tmp_path: Path) -> None:
    done, made = _create(loans(0, 500).drop(columns="score"), tmp_path, *TRUTH)
    assert done.exit_code == 0
    assert "note: not all of performance can be estimated: accuracy" in done.stderr
    assert made is not None
    assert made.estimators is not None
    assert made.estimators.metrics == ()


def test_few_rows_make_a_reference_without_estimators(tmp_path: Path) -> None:
    done, made = _create(houses(0, 50), tmp_path, *TRUTH)
    assert done.exit_code == 0
    assert "50 rows have a prediction and a truth to compare; at least 200 are needed" in done.stderr
    assert made is not None
    assert made.estimators is None
    assert made.performance is not None


@pytest.mark.parametrize("more", [(), ("--no-estimators", *TRUTH)])
def test_no_estimators_without_ground_truth_or_without_the_option(tmp_path: Path, more: tuple[str, ...]) -> None:
    done, made = _create(houses(0, 500), tmp_path, *more)
    assert (done.exit_code, done.stderr) == (0, "")
    assert made is not None
    assert made.estimators is None


def test_missing_scikit_learn_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otel_mlmon.stats.estimation.trees.find_spec", lambda name: None)
    done, made = _create(loans(0, 500), tmp_path, *TRUTH, "--score-column", "yes=score")
    assert done.exit_code == 0
    assert "models of the losses need scikit-learn" in done.stderr
    assert made is not None
    assert made.estimators is not None
    assert "accuracy" in made.estimators.metrics  # needs none
    assert made.estimators.losses == {}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("score", "found 'score', allowed is CLASS=COLUMN"),
        ("=score", "allowed is CLASS=COLUMN"),
        ("yes=elsewhere", "no column 'elsewhere'"),
        ("yes=region", "which is no score"),
    ],
)
def test_a_wrong_score_column_is_pointed_out(tmp_path: Path, given: str, says: str) -> None:
    done, _ = _create(loans(0, 300), tmp_path, *TRUTH, "--score-column", given)
    assert done.exit_code != 0
    assert says in str(done.exception) + done.output


def test_figures_equal_scikit_learn_whole_and_by_segment() -> None:
    frame = loans(0, 3000)
    made = reference_of(frame, Columns("predicted", "truth", scores=(("yes", "score"),), segments=("region",)))
    south = frame[frame.region == "south"]
    for rows, figures in ((frame, made.metric_values), (south, made.segments["region=south"].metric_values)):
        truth = rows.truth == "yes"
        theirs = {
            "roc_auc": roc_auc_score(truth, rows.score),
            "average_precision": average_precision_score(truth, rows.score),
            "log_loss": log_loss(truth, rows.score),
            "brier": brier_score_loss(truth, rows.score),
        }
        for name, value in theirs.items():
            assert figures[name].value == pytest.approx(value, abs=1e-9)
            assert figures[name].standard_error > 0
            assert figures[name].rows == len(rows)
            assert figures[metric_key(name, "yes")].value == pytest.approx(value, abs=1e-9)


def test_several_classes_have_figures_together_and_each() -> None:
    frame = three(0, 2000)
    figures = reference_of(frame, THREE).metric_values
    scores = frame[["score_a", "score_b", "score_c"]].to_numpy()
    assert figures["roc_auc"].value == pytest.approx(roc_auc_score(frame.truth, scores, multi_class="ovr"), abs=1e-9)
    assert figures[metric_key("roc_auc", "b")].value == pytest.approx(
        roc_auc_score(frame.truth == "b", frame.score_b), abs=1e-9
    )


def test_scores_that_are_no_probabilities_have_no_log_loss_but_an_area() -> None:
    frame = loans(0, 500)
    figures = reference_of(frame.assign(score=frame.x), CLASSES).metric_values
    assert "roc_auc" in figures
    assert "log_loss" not in figures


def test_rows_as_outcomes_have_numbers_classes_scores_and_queries() -> None:
    frame = pd.DataFrame(
        {
            "q": ["a", "b", "a", "b"],
            "predicted": [1, 0, 1, 1],
            "truth": [1.0, 0.0, None, 1.0],
            "s": [0.5, 0.1, 0.9, np.nan],
        }
    )
    block = block_of(frame, Columns("predicted", "truth", scores=(("1", "s"),)))
    found = outcomes(block, np.arange(4), query="q")
    assert found.classes == ("0", "1")
    assert found.true_class.tolist() == [1, 0, 1]
    assert found.predicted_class.tolist() == [1, 0, 1]
    assert np.array_equal(found.scores["1"], [0.5, 0.1, np.nan], equal_nan=True)
    assert found.query is not None
    assert found.query[0] != found.query[1] == found.query[2]
    amounts = outcomes(block_of(frame.assign(truth=[1.5, 2, 3, 4]), Columns("predicted", "truth")), np.arange(4))
    assert amounts.classes == ()
    assert amounts.truth.tolist() == [1.5, 2, 3, 4]
