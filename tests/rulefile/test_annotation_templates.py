from __future__ import annotations

from typing import Any

import pytest

from otel_mlmon.rulefile import render
from otel_mlmon.rulefile.templates import NAMES

VALUES: dict[str, Any] = {
    "feature": "rooms",
    "value": 0.02345678,
    "threshold": 0.02,
    "model": "house-prices",
    "version": "1.2",
    "segment": "",
    "rows": 1234567,
    "p_value": None,
    "finding": "shift",
    "labels": {"severity": "critical", "items": "just a label"},
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ feature }} of {{ model }} {{ version }}", "rooms of house-prices 1.2"),
        ("{{ value }} {{ value | percent }} {{ value | percent(3) }}", "0.02346 2.3% 2.346%"),
        ("{{ threshold | percent }} {{ value | round(2) }}", "2% 0.02"),
        ("{{ rows }} rows", "1234567 rows"),
        ("p = {{ p_value }}, {{ p_value | percent }}", "p = unknown, unknown"),
        ("{{ labels.severity | upper }} {{ labels['severity'] }}", "CRITICAL critical"),
        ("{{ labels.items }}", "just a label"),
        ("{{ labels.owner | default('nobody') }}", "nobody"),
        ("all{% if segment %} of {{ segment }}{% endif %}", "all"),
        ("{{ 'much' if value > threshold else 'little' }}", "much"),
        ("no template at all, 100 %", "no template at all, 100 %"),
    ],
)
def test_annotations_are_filled_in(template: str, text: str) -> None:
    assert render(template, VALUES) == text


@pytest.mark.parametrize("template", ["{{ labels.owner }}", "{{ feature | percent }}"])
def test_value_that_does_not_fit_its_filter_is_an_error(template: str) -> None:
    with pytest.raises(ValueError, match="cannot be filled in"):
        render(template, VALUES)


def test_tests_cover_all_names_of_templates() -> None:
    assert set(VALUES) == set(NAMES)
