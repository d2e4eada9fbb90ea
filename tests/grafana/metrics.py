"""What an expression asks of Prometheus: metrics with the labels that each is expected to have."""

from __future__ import annotations

from collections.abc import Iterator

import promql_parser as promql

from otel_mlmon.export.metrics.prometheus import label_name, metric_name
from otel_mlmon.wire.semconv import METRICS, MetricName


def declared() -> dict[str, tuple[MetricName, frozenset[str]]]:
    """Name of a series in Prometheus → (metric, labels that it may carry)."""
    series = {}
    for metric in METRICS:
        labels = frozenset(map(label_name, metric.attributes))
        name = metric_name(metric)
        if metric.kind == "histogram":
            series[f"{name}_bucket"] = (metric, labels | {"le"})
            series |= {f"{name}{suffix}": (metric, labels) for suffix in ("_sum", "_count")}
        else:
            series[name] = (metric, labels)
    return series


def asked(expr: str) -> list[tuple[str, frozenset[str]]]:
    """(metric, labels used with it) for each selector: in its matchers, and in every aggregation around it."""
    return list(_asked(promql.parse(expr), frozenset()))


def unaggregated(expr: str) -> list[str]:
    """Metrics that no aggregation stands around: they would show labels of the scrape, which are not ours."""
    return list(_bare(promql.parse(expr)))


def _asked(node: promql.Expr, around: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    if isinstance(node, promql.VectorSelector):
        yield node.name or "", around | {matcher.name for matcher in node.matchers.matchers}
        return
    if isinstance(node, promql.AggregateExpr) and node.modifier:
        # What an outer aggregation groups by must come through this one.
        around |= frozenset(node.modifier.labels)
    for child in _children(node):
        yield from _asked(child, around)


def _bare(node: promql.Expr) -> Iterator[str]:
    if isinstance(node, promql.VectorSelector):
        yield node.name or ""
    elif not isinstance(node, promql.AggregateExpr):
        for child in _children(node):
            yield from _bare(child)


def _children(node: promql.Expr) -> list[promql.Expr]:
    match node:
        case promql.BinaryExpr():
            return [node.lhs, node.rhs]
        case promql.MatrixSelector():
            return [node.vector_selector]
        case promql.Call():
            return list(node.args)
        case promql.AggregateExpr() | promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            return [node.expr]
    return []
