"""Errors of neighbours that are alike: intervals and tests of performance count rows for what they are worth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from otel_mlmon.checks.context import error_design_effects
from otel_mlmon.lab.simulate.memory import cut
from otel_mlmon.lab.simulate.run import simulate
from otel_mlmon.reference.artefact import from_document, to_document
from otel_mlmon.reference.create import create_reference
from otel_mlmon.reference.table import Columns, rows_of
from otel_mlmon.rulefile import parse_text
from otel_mlmon.values import Alert, PerformanceCounts, Reference, RowBlock, WindowProfile

HOUR = 3_600_000_000_000
ROWS = 200  # an hour
REFERENCE_HOURS, HOURS = 100, 40


def _prices(seed: int, *, common: float = 0.4, harder: float = 1.0) -> RowBlock:
    """Prices; errors of one hour are alike, in their size too. The last hours may be harder."""
    rng, hours = np.random.default_rng(seed), REFERENCE_HOURS + HOURS
    n = hours * ROWS
    shift, size = (np.repeat(common * share * rng.normal(size=hours), ROWS) for share in (1, 0.5))
    last = np.arange(n) >= REFERENCE_HOURS * ROWS
    error = 10 * (shift + np.exp(size) * rng.normal(size=n)) * np.where(last, harder, 1.0)
    truth = rng.normal(300, 80, n)
    table = pa.table({"town": rng.choice(["a", "b"], n), "predicted": truth + error, "truth": truth})
    columns = Columns(prediction="predicted", ground_truth="truth", segments=("town",))
    times = np.arange(n) * HOUR // ROWS
    return replace(rows_of(Path("prices"), table, columns, "m", "1"), times=times, truth_times=times)


def _answers(seed: int) -> RowBlock:
    """Answers of a classifier that is better in some hours than in others."""
    rng, hours = np.random.default_rng(seed), REFERENCE_HOURS + HOURS
    n = hours * ROWS
    skill = np.repeat(1.5 + rng.normal(size=hours), ROWS)
    truth = rng.random(n) < 0.5
    score = 1 / (1 + np.exp(-(skill * np.where(truth, 1, -1) + rng.normal(size=n) * 2)))
    table = pa.table(
        {
            "town": rng.choice(["a", "b"], n),
            "yes": score,
            "predicted": np.where(score > 0.5, "yes", "no"),
            "truth": np.where(truth, "yes", "no"),
        }
    )
    columns = Columns(prediction="predicted", ground_truth="truth", segments=("town",), scores=(("yes", "yes"),))
    times = np.arange(n) * HOUR // ROWS
    return replace(rows_of(Path("answers"), table, columns, "m", "1"), times=times, truth_times=times)


def _split(rows: RowBlock) -> tuple[Reference, RowBlock]:
    """A reference of the first hours, whose rows are in the order of time; and the others."""
    first = REFERENCE_HOURS * ROWS
    made = create_reference(cut(rows, 0, first), name="training", version="", segments=["town"], source="", created="")
    return made, cut(rows, first, len(rows))


def _forgotten(made: Reference) -> Reference:
    """As a reference of rows without times, or one that was made by an earlier version."""
    segments = {key: replace(part, outcome_effects={}) for key, part in made.segments.items()}
    return replace(made, outcome_effects={}, segments=segments)


def _run(rules: str, made: Reference, rows: RowBlock, head: str = "") -> tuple[list[str], dict[tuple[str, str], Alert]]:
    """What fired, hour by hour; and the last verdicts by rule and segment."""
    lines = "".join(f"      - {line.strip()}\n" for line in rules.strip().splitlines())
    text = "groups:\n  - name: g\n    model: m\n    window: 1h\n    interval: 1h\n    segments: [town]\n"
    text += f"{head}    rules:\n{lines}"
    fired: list[str] = []
    last: dict[tuple[str, str], Alert] = {}
    for tick in simulate(parse_text(text, Path("rules.yaml")).groups, rows, [made], pane_ns=HOUR):
        fired += [alert.rule for alert in tick.changed if alert.phase == "firing"]
        last = {(a.rule, a.target.segment): a for a in tick.alerts()}
    return fired, last


LIMITS = """
{alert: Rmse, performance: rmse, worse_than_reference: 10%}
{alert: Mae, performance: mae, worse_than_reference: 10%}
{alert: Bias, performance: bias, above: 5}
"""
BUDGETED = """
{alert: Rmse, performance: rmse}
{alert: Mae, performance: mae}
{alert: Bias, performance: bias}
"""
PER_MONTH = "    false_alarms: 1 per month\n"


@pytest.mark.parametrize(("rules", "head"), [(LIMITS, ""), (BUDGETED, PER_MONTH)])
def test_hours_that_are_hard_as_they_always_were_are_no_fall(rules: str, head: str) -> None:
    made, after = _split(_prices(1))
    assert {"error", "absolute_error", "squared_error"} <= set(made.outcome_effects)
    assert _run(rules, made, after, head)[0] == []
    assert len(_run(rules, _forgotten(made), after, head)[0]) > 5, "it takes the order of the rows to know"


@pytest.mark.parametrize(("rules", "head"), [(LIMITS, ""), (BUDGETED, PER_MONTH)])
def test_what_goes_beyond_that_is_found_all_the_same(rules: str, head: str) -> None:
    made, after = _split(_prices(1, harder=3.0))
    after = cut(after, 0, 6 * ROWS)
    assert "Rmse" in _run(rules, made, after, head)[0]


def test_where_neighbours_are_not_alike_nothing_changes() -> None:
    made, after = _split(_prices(1, common=0.0))
    assert made.outcome_effects == {}
    known, unknown = (_run(LIMITS, one, cut(after, 0, 3 * ROWS))[1] for one in (made, _forgotten(made)))
    assert {key: a.verdict for key, a in known.items()} == {key: a.verdict for key, a in unknown.items()}


def test_a_classifier_that_is_better_in_some_hours_than_in_others() -> None:
    made, after = _split(_answers(1))
    assert {"zero_one", "roc_auc"} <= set(made.outcome_effects)
    rules = "{alert: Accuracy, performance: accuracy}\n{alert: RocAuc, performance: roc_auc}"
    assert _run(rules, made, after, PER_MONTH)[0] == []
    assert len(_run(rules, _forgotten(made), after, PER_MONTH)[0]) > 5


def test_intervals_and_gaps_know_it_too() -> None:
    made, after = _split(_prices(2))
    rules = LIMITS + "{alert: Unfair, fairness: rmse, above: 0}\n"
    rules += '{alert: Sql, performance: sql, expression: "avg(abs(prediction - ground_truth))", above: 1}'
    known, unknown = (_run(rules, one, cut(after, 0, 2 * ROWS))[1] for one in (made, _forgotten(made)))
    for rule in ("Rmse", "Mae", "Sql"):
        wide, narrow = known[rule, ""].verdict, unknown[rule, ""].verdict
        assert wide.result.value == narrow.result.value, "the figure is what it is"
        assert None not in (wide.result.low, wide.result.high, narrow.result.low, narrow.result.high)
        assert wide.result.high - wide.result.low > 1.5 * (narrow.result.high - narrow.result.low), rule  # type: ignore[operator]
    wide, narrow = known["Unfair", ""].verdict, unknown["Unfair", ""].verdict
    assert (wide.result.p_value or 0) > (narrow.result.p_value or 0)
    assert wide.result.message.split(";")[0] == narrow.result.message.split(";")[0], (
        "it counts the predictions that there were"
    )


def _known(rows: int, known: int) -> WindowProfile:
    return WindowProfile("m", "1", "", 0, HOUR, rows, 0, {}, PerformanceCounts(predictions=rows, with_truth=known))


def test_a_few_outcomes_of_a_window_have_less_in_common_than_all_of_them() -> None:
    made = replace(_forgotten(_split(_prices(1))[0]), outcome_effects={"squared_error": {100: 11.0}})
    of = [error_design_effects(made, {"": _known(101, known)}, "", "rmse")[0] for known in (1, 11, 51, 101)]
    assert of == [1.0, 2.0, 6.0, 11.0]
    assert error_design_effects(made, {"": _known(101, 101)}, "", "mae") == (1.0, 1.0), "each metric by what it adds up"
    assert error_design_effects(None, {"": _known(101, 101)}, "", "rmse") == (1.0, 1.0)


def test_a_reference_keeps_it_and_an_old_one_can_be_read() -> None:
    made, _ = _split(_prices(1))
    document = to_document(made)
    read = from_document(document, "here")
    assert read.outcome_effects == made.outcome_effects != {}
    assert {k: s.outcome_effects for k, s in read.segments.items()} == {
        k: s.outcome_effects for k, s in made.segments.items()
    }
    document.pop("outcome_effects")
    for segment in document["segments"].values():
        segment.pop("outcome_effects", None)
    assert from_document(document, "here").outcome_effects == {}
