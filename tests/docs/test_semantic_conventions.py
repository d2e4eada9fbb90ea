"""The page of semantic conventions has the names of the code, and the processor decodes its examples as described."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from otel_mlmon import rulefile
from otel_mlmon.export.metrics.prometheus import metric_name
from otel_mlmon.ingest.decode import decode, reject
from otel_mlmon.ingest.decode.batch import prediction_batch
from otel_mlmon.ingest.receive.receipt import Signal
from otel_mlmon.rulefile.checks import methods
from otel_mlmon.values import Decoded, PredictionBatch
from otel_mlmon.wire import semconv
from otel_mlmon.wire.columns import json_text

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "semantic-conventions.md").read_text()
RULES = (ROOT / "docs" / "reference" / "rules.md").read_text()
SIGNALS = {"resourceLogs": "logs", "resourceSpans": "traces"}
SETS = {"*rule*": semconv.RULE_VALUE.attributes, "*model*": (semconv.MODEL_NAME, semconv.MODEL_VERSION)}


def _declared() -> set[str]:
    named = {value for name, value in vars(semconv).items() if name.isupper() and isinstance(value, str)}
    return {name for name in named if name.startswith("mlmon.")} | {metric.name for metric in semconv.METRICS}


def _is_declared(name: str) -> bool:
    return name in _declared() or any(p.endswith(".") and name.startswith(p) for p in _declared())


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_every_declared_name_is_explained() -> None:
    for name in _declared():
        assert re.search(rf"`{re.escape(name)}(<\w+>)?`", PAGE), name


def test_no_undeclared_name_is_promised() -> None:
    found = set(re.findall(r"\bmlmon\.[a-z_.]*", PAGE))
    assert found
    for name in found:
        assert _is_declared(name), name


def test_every_column_of_a_batch_is_explained() -> None:
    columns = {value for name, value in vars(semconv).items() if name.startswith("COLUMN_") and isinstance(value, str)}
    for column in columns:
        assert re.search(rf"`{re.escape(column)}(<\w+>|ground_truth)?`", PAGE), column


def test_every_metric_stands_as_declared() -> None:
    rows: dict[str, list[str]] = {}
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
        if len(cells) == 6 and cells[1] in get_args(semconv.Kind):
            rows[cells[0].strip("`")] = cells[1:]
    assert list(rows) == sorted(rows, key=[metric.name for metric in semconv.METRICS].index)
    for metric in semconv.METRICS:
        kind, unit, in_prometheus, attributes, meaning = rows.pop(metric.name)
        listed = [attribute.strip("`") for attribute in attributes.split(", ") if attribute != "–"]
        expanded = [name for attribute in listed for name in SETS.get(attribute, (attribute,))]
        assert (kind, unit.strip("`"), meaning) == (metric.kind, metric.unit, metric.description), metric.name
        assert in_prometheus.strip("`") == metric_name(metric)
        assert set(expanded) == set(metric.attributes), metric.name
    assert not rows


def test_every_method_and_reason_is_listed() -> None:
    for reason in [value for name, value in vars(reject).items() if name.isupper() and isinstance(value, str)]:
        assert f"`{reason}`" in PAGE, reason
    for method in [method for family in get_args(rulefile.Family) for method in methods(family)]:
        assert f"`{method}`" in PAGE, method
        assert re.search(rf"(`|: ){method}\b", RULES), method


@pytest.mark.parametrize("text", _blocks("json"))
def test_every_json_example_is_accepted(text: str) -> None:
    found = _decode(text)
    (batch,) = found.batches
    assert (found.rejected, found.ignored, batch.model, len(batch)) == ({}, 0, "house-prices", 1)


def test_examples_decode_to_the_described_cells() -> None:
    mapped, flat, span, truth = (_decode(text).batches[0] for text in _blocks("json"))
    assert _cells(mapped, 0) == {"rooms": "4", "age": "null", "region": '"INLAND"', "(prediction)": "231500.0"}
    assert _cells(flat, 0) == {"rooms": "3", "region": '"NEAR BAY"', "(prediction)": "198000.0"}
    assert isinstance(span, PredictionBatch)
    assert span.durations.to_pylist() == [pytest.approx(0.0042)]
    assert truth.ids.to_pylist() == mapped.ids.to_pylist()


def test_example_of_a_batch_decodes_to_the_described_cells() -> None:
    (code,) = _blocks("python")
    made: dict[str, Any] = {}
    exec(compile(code, "semantic-conventions.md", "exec"), made)
    assert made["event_name"] == semconv.EVENT_PREDICTION_BATCH
    batch = prediction_batch(made["attributes"], made["body"])
    assert [_cells(batch, row)["age"] for row in range(3)] == ["null", "absent", '"12"']
    assert [_cells(batch, row)["(prediction)"] for row in range(3)] == ["231500.0", "198000.0", "absent"]
    assert set(batch.segments) == {"channel"}


def test_names_on_the_wire_are_spelled_in_one_module_only() -> None:
    for path in sorted((ROOT / "otel_mlmon").rglob("*.py")):
        if path.name == "semconv.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            assert not (text.startswith("mlmon.") and _is_declared(text)), f"{path}:{node.lineno}: {text}"  # type: ignore[attr-defined]


def _decode(text: str) -> Decoded:
    content = json.loads(text)
    (kind,) = content
    signal: Signal = SIGNALS[kind]  # type: ignore[assignment]
    return decode(signal, json.dumps(content).encode(), "json", received_ns=9)


def _cells(batch: Any, row: int) -> dict[str, str]:
    """A row's fields as JSON text; absent is a word."""
    cells = {}
    for name, column in batch.fields.items():
        if column.absent is not None and column.absent[row].as_py():
            cells[name] = "absent"
        elif column.other is not None and column.other[row].is_valid:
            cells[name] = column.other[row].as_py()
        else:
            cells[name] = json_text(column.values[row].as_py())
    return cells
