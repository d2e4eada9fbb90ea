"""The conventions on paper are those in the code."""

from __future__ import annotations

import re
from pathlib import Path

from otel_mlmon import semconv

PAGE = (Path(__file__).parents[1] / "docs" / "semantic-conventions.md").read_text()


def _declared() -> set[str]:
    named = {value for name, value in vars(semconv).items() if name.isupper() and isinstance(value, str)}
    return {name for name in named if name.startswith("mlmon.")} | {metric.name for metric in semconv.METRICS}


def test_every_declared_name_is_explained() -> None:
    for name in _declared():
        assert f"`{name}" in PAGE, name


def test_no_undeclared_name_is_promised() -> None:
    declared = _declared()
    for name in set(re.findall(r"`(mlmon\.[a-z_.]+)", PAGE)):
        assert name in declared or any(prefix.endswith(".") and name.startswith(prefix) for prefix in declared), name


def test_every_column_of_a_batch_is_explained() -> None:
    columns = {value for name, value in vars(semconv).items() if name.startswith("COLUMN_") and isinstance(value, str)}
    for column in columns:
        assert f"`{column}" in PAGE, column
