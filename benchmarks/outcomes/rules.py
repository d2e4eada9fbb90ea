"""The rules under test: the defaults, and a budget of false alarms in place of thresholds."""

from __future__ import annotations

from typing import Final

from benchmarks.outcomes.streams import Task, population, segment_key
from otel_mlmon.reference.create import create_reference
from otel_mlmon.rulefile import Group, parse_text
from otel_mlmon.stats.metrics.table import METRICS

ROOM: Final = 1.1  # a fairness rule allows a tenth more than the reference's disparity

_WITH_LIMITS: Final = {
    "regression": """
      - {alert: Rmse, performance: rmse, worse_than_reference: 10%}
      - {alert: Mae, performance: mae, worse_than_reference: 10%}
      - {alert: Bias, performance: bias, above: BIAS}
      - {alert: Fairness, fairness: rmse, above: GAP}
      - {alert: Budget, budget: rmse, worse_than_reference: 10%}
""",
    "classification": """
      - {alert: Accuracy, performance: accuracy, worse_than_reference: 10%}
      - {alert: AccuracyFirm, performance: accuracy, worse_than_reference: 2%}
      - {alert: RocAuc, performance: roc_auc, worse_than_reference: 10%}
      - {alert: Fairness, fairness: accuracy, above: GAP}
      - {alert: Budget, budget: accuracy, worse_than_reference: 10%}
""",
}
_BUDGETED: Final = {
    "regression": """
      - {alert: Rmse, performance: rmse}
      - {alert: Mae, performance: mae}
      - {alert: Bias, performance: bias}
      - {alert: Fairness, fairness: rmse, above: GAP}
      - {alert: Budget, budget: rmse, worse_than_reference: 10%}
""",
    "classification": """
      - {alert: Accuracy, performance: accuracy}
      - {alert: RocAuc, performance: roc_auc}
      - {alert: Fairness, fairness: accuracy, above: GAP}
      - {alert: Budget, budget: accuracy, worse_than_reference: 10%}
""",
}


def group(data: str, task: Task, *, budget: bool, window: str, interval: str) -> Group:
    """Write the group of rules of a data set, for the whole and by its segment key."""
    whole = create_reference(
        population(data, task), name="", version="", segments=[segment_key(data)], source="", created=""
    )
    method = "rmse" if task == "regression" else "accuracy"
    assert whole.performance is not None
    scale = METRICS[method].value(whole.performance, None) if task == "regression" else 1.0
    parts = [s.performance for s in whole.segments.values() if s.performance and s.performance.with_truth >= 100]
    values = [METRICS[method].estimate(counts, None, 0.95).value for counts in parts]
    bias = METRICS["bias"].value(whole.performance, None) + 0.1 * scale
    text = (_BUDGETED if budget else _WITH_LIMITS)[task]
    text = text.replace("GAP", f"{ROOM * (max(values) - min(values)) / scale:.4f}").replace("BIAS", f"{bias:.6g}")
    head = (
        f"groups:\n  - name: g\n    model: m\n    window: {window}\n    interval: {interval}\n"
        f"    segments: [{segment_key(data)}]\n"
    )
    if budget:
        head += "    false_alarms: 1 per month\n"
    return parse_text(head + "    rules:" + text).groups[0]
