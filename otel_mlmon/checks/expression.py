"""Relations between the fields of a row, as conditions in SQL."""

from __future__ import annotations

from otel_mlmon.checks.case import judge, no_data
from otel_mlmon.checks.integrity import percent
from otel_mlmon.checks.model_case import ModelCase, too_few_predictions
from otel_mlmon.rulefile import Expression
from otel_mlmon.rulefile.patterns import output_name
from otel_mlmon.stats.inference.proportion import exceeds
from otel_mlmon.values import CheckResult


def expression(rule: Expression, case: ModelCase) -> CheckResult:
    """Share of the rows that violate the condition, among those where it is true or false."""
    block, rows = case.block()
    if block is None or len(rows) < rule.min_rows:
        return too_few_predictions(len(rows), rule.min_rows)
    if all(output_name(name) is not None for name in block.fields):
        return no_data("no_values", "the model has no features", rows=len(rows))
    holds, violated = case.condition(block, rows, rule.expression)
    judged = holds + violated
    if not judged:
        return no_data("no_values", f"{rule.expression} is null in all of {len(rows)} rows", rows=len(rows))
    return judge(
        violated / judged,
        rule.above,
        exceeds(violated, judged, rule.above) if rule.above else float("nan"),
        rows=judged,
        reference_rows=0,
        message=f"{percent(violated, judged)} of {judged} rows violate {rule.expression}",
        finding="violated",
        critical=rule.critical,
    )
