from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from otel_mlmon.rulefile import KINDS, load, parse_text, render, schema, schema_text

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(p for p in (ROOT / "rules").glob("*.yaml") if not p.stem.endswith(".test"))
OF_EXAMPLES = [ROOT / "otel_mlmon" / "lab" / "demo" / "rules.yaml", *sorted((ROOT / "examples").glob("*/rules.yaml"))]
GUIDE = (ROOT / "docs" / "reference" / "rules.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
TESTDATA = Path(__file__).parent / "testdata"


def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema())


def test_the_published_schema_is_the_models_own() -> None:
    found = (ROOT / "rules" / "schema.json").read_text()
    assert json.loads(found) == schema(), "write otel_mlmon.rulefile.schema_text() to rules/schema.json"
    assert found == schema_text()
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize(
    "path", [*SHIPPED, *OF_EXAMPLES, TESTDATA / "full.yaml"], ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_good_files_load_and_satisfy_the_schema(path: Path) -> None:
    load([path])
    validator().validate(yaml.load(path.read_text(), Loader=yaml.BaseLoader))  # every scalar as text
    validator().validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    "name", ["five-errors", "unknown-keys", "unknown-methods", "wrong-types", "which-check", "no-groups", "references"]
)
def test_bad_files_do_not_satisfy_the_schema(name: str) -> None:
    assert not validator().is_valid(yaml.safe_load((TESTDATA / f"{name}.bad.yaml").read_text()))


def test_the_shipped_rules_load_together() -> None:
    assert len(load([ROOT / "rules"])) == len(SHIPPED) == 4


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_alerts_have_a_severity_a_summary_and_advice(path: Path) -> None:
    values: dict[str, Any] = {
        "feature": "rooms",
        "value": 0.25,
        "threshold": 0.2,
        "model": "house-prices",
        "version": "3",
        "segment": "k=v",
        "rows": 900,
        "p_value": 1e-9,
        "finding": "shift",
    }
    for group in load([path])[0].groups:
        for rule in group.rules:
            texts = {name: render(text, {**values, "labels": rule.labels}) for name, text in rule.annotations.items()}
            assert rule.labels["severity"] in {"warning", "critical"}
            assert set(texts) == {"summary", "description"}
            assert len(texts["summary"]) <= 120
            assert not any("\n" in text or "  " in text for text in texts.values())


def test_the_examples_of_the_guide_are_good_rule_files() -> None:
    assert [parse_text(example).groups[0].name for example in EXAMPLES] == ["house-prices"]


def test_the_guide_knows_every_key_and_every_method() -> None:
    described = set(re.findall(r"`(\w+)`", GUIDE))
    keys = {field.alias or name for model in KINDS.values() for name, field in model.model_fields.items()}
    assert keys | {method for _, method in KINDS} - set(re.findall(r"integrity: (\w+)", GUIDE)) <= described
    assert {method for family, method in KINDS if family == "integrity"} == set(
        re.findall(r"^### integrity: (\w+)$", GUIDE, re.MULTILINE)
    )
