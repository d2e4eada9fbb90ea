"""`estimate` rules: what is expected of a window's predictions, against what the reference knows."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from stats.estimates import CLASSES, NUMBERS, block_of, case_of, houses, loans, reference_of

from otel_mlmon.checks.estimate import estimate
from otel_mlmon.reference.table import Columns
from otel_mlmon.rulefile import EstimateRule, parse_text
from otel_mlmon.stats.metrics.table import METRICS
from otel_mlmon.values import CheckResult, Reference

PLACES = replace(NUMBERS, segments=("place",))


@functools.cache
def _houses() -> Reference:
    return reference_of(houses(0, 6000), PLACES)


@functools.cache
def _loans() -> Reference:
    return reference_of(loans(0, 6000), CLASSES)


def _rule(text: str) -> EstimateRule:
    head = "groups:\n  - name: g\n    model: m\n    window: 1h\n    interval: 1h\n    rules:\n"
    document = f"{head}      - {{alert: A, {text}}}\n"
    (group,) = parse_text(document, Path("rules.yaml")).groups
    (rule,) = group.rules
    assert isinstance(rule, EstimateRule)
    return rule


def _judge(
    text: str, reference: Reference | None, frame: pd.DataFrame | None, columns: Columns, segment: str = ""
) -> CheckResult:
    block = None if frame is None else block_of(frame, columns)
    return estimate(_rule(text), case_of(reference, block, segment))


@pytest.mark.parametrize("metric", ["rmse", "mae"])
def test_a_window_of_harder_rows_is_expected_to_be_worse(metric: str) -> None:
    usual = _judge(f"estimate: {metric}", _houses(), houses(1, 2000), PLACES)
    assert (usual.status, usual.reason, usual.rows) == ("ok", "within_threshold", 2000)
    hard = _judge(f"estimate: {metric}", _houses(), houses(1, 2000, a=6.0, b=2.0), PLACES)
    assert (hard.status, hard.finding) == ("breach", "worse")
    assert hard.p_value is not None
    assert hard.p_value < 0.025  # the limit lies below the band
    assert hard.value is not None
    assert hard.low is not None
    assert hard.threshold is not None
    assert hard.threshold < hard.low < hard.value
    before = METRICS[metric].value(_houses().performance, None)  # type: ignore[arg-type]
    assert hard.threshold == pytest.approx(1.1 * before)
    assert hard.evidence.numbers[1] == (metric, before, hard.value)
    assert "once the truth of 2000 predictions is known, in the reference" in hard.message


def test_an_easier_window_is_no_breach() -> None:
    easy = _judge("estimate: rmse", _houses(), houses(1, 2000, a=2.0, b=6.0), PLACES)
    assert easy.status == "ok"
    assert easy.p_value is not None
    assert easy.p_value > 0.99


def test_a_segment_is_compared_with_itself() -> None:
    """The country has twice the error: worse than the whole, not than the country."""
    frame = houses(1, 3000)
    country = _judge("estimate: rmse", _houses(), frame, PLACES, "place=country")
    assert country.status == "ok"
    assert country.rows == int((frame.place == "country").sum())
    unknown = _judge("estimate: rmse", _houses(), frame.assign(place="abroad"), PLACES, "place=abroad")
    assert unknown.reference_rows == 6000


@pytest.mark.parametrize("metric", ["accuracy", "roc_auc", "precision", "recall", "f1"])
def test_answers_that_became_less_certain_are_expected_to_be_wrong_more_often(metric: str) -> None:
    usual = _judge(f"estimate: {metric}", _loans(), loans(1, 2000), CLASSES)
    assert usual.status == "ok"
    assert usual.low is not None
    assert usual.high is not None
    assert usual.value is not None
    assert usual.low < usual.value < usual.high
    unsure = loans(1, 4000)
    unsure = unsure[unsure.x.abs() < 0.5].reset_index(drop=True)
    found = _judge(f"estimate: {metric}", _loans(), unsure, CLASSES)
    assert (found.status, found.finding) == ("breach", "worse")
    assert found.threshold is not None
    assert found.high is not None
    assert found.high < found.threshold


def test_of_the_class_in_question() -> None:
    frame = loans(1, 3000, centre=2.0)
    yes = _judge("estimate: recall, positive: 'yes'", _loans(), frame, CLASSES)
    no = _judge("estimate: recall, positive: 'no'", _loans(), frame, CLASSES)
    assert yes.value is not None
    assert no.value is not None
    assert yes.value > no.value + 0.1
    for outcome, name in ((yes, "yes"), (no, "no")):
        realised = float((frame.predicted == name)[frame.truth == name].mean())
        assert outcome.low is not None
        assert outcome.high is not None
        assert outcome.low < realised < outcome.high


def test_a_reference_without_what_it_takes_says_what_it_takes() -> None:
    bare = replace(_houses(), estimators=None)
    assert "create it with predictions and ground truth" in _no_data("rmse", bare, "no_estimator").message
    assert "--score-column" in _no_data("accuracy", _houses(), "no_estimator").message
    assert "nothing to estimate rmse by" in _no_data("rmse", _loans(), "no_estimator", loans(1, 500), CLASSES).message
    _no_data("rmse", None, "no_reference")
    _no_data("rmse", replace(_houses(), performance=None), "no_reference")
    _no_data("roc_auc", replace(_loans(), metric_values={}), "no_reference", loans(1, 500), CLASSES)
    strange = _judge("estimate: f1, positive: maybe", _loans(), loans(1, 500), CLASSES)
    assert (strange.status, strange.reason) == ("no_data", "no_reference")


def _no_data(
    metric: str, reference: Reference | None, reason: str, frame: pd.DataFrame | None = None, columns: Columns = PLACES
) -> CheckResult:
    found = _judge(f"estimate: {metric}", reference, houses(1, 500) if frame is None else frame, columns)
    assert (found.status, found.reason) == ("no_data", reason)
    assert found.value is None
    return found


@pytest.mark.parametrize(
    ("change", "reason", "says"),
    [
        (lambda f: f[:0], "no_rows", "0 predictions"),
        (lambda f: f[:199], "too_few_rows", "199 predictions"),
        (lambda f: f.drop(columns="area"), "no_values", "area did not come"),
        (lambda f: f.drop(columns="predicted"), "no_values", "did not come"),
        (lambda f: f.assign(x="a lot"), "no_values", "x came as text"),
        (lambda f: f.assign(predicted=np.where(f.index < 100, f.predicted, np.nan)), "too_few_rows", "100 predictions"),
        (lambda f: f.assign(predicted=np.nan), "no_rows", "0 predictions"),
    ],
)
def test_a_window_that_cannot_be_estimated_is_no_data(change: Any, reason: str, says: str) -> None:
    frame = change(houses(1, 500))
    columns = replace(PLACES, prediction="predicted" if "predicted" in frame else "")
    block = block_of(frame, columns) if len(frame) else None
    found = estimate(_rule("estimate: rmse"), case_of(_houses(), block))
    assert (found.status, found.reason) == ("no_data", reason)
    assert says in found.message


def test_scores_that_did_not_come_are_no_data() -> None:
    frame = loans(1, 500)
    without = _judge("estimate: accuracy", _loans(), frame.drop(columns="score"), replace(CLASSES, scores=()))
    assert (without.status, without.reason) == ("no_data", "no_scores")
    assert "'yes'" in without.message
    gaps = frame.assign(score=np.where(frame.index < 100, frame.score, np.nan))
    assert _judge("estimate: accuracy", _loans(), gaps, CLASSES).reason == "too_few_rows"
    one = frame.assign(predicted="yes", score=1.0)
    assert _judge("estimate: precision, positive: 'no'", _loans(), one, CLASSES).reason == "no_values"
