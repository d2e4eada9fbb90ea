"""The walks of ARCHITECTURE.md can be read module by module, without going back to one that was left."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "otel_mlmon"
_SECTION = (ROOT / "ARCHITECTURE.md").read_text("utf-8").partition("## Where to start reading")[2]
WALKS = {
    title.strip(): re.findall(r"^\d+\. `([\w/]+)\.py`", text, re.MULTILINE)
    for title, _, text in (walk.partition("\n") for walk in _SECTION.split("\n### ")[1:])
}


def _imports(module: str) -> set[str]:
    imported: set[str] = set()
    for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            imported |= {name.removeprefix("otel_mlmon.").replace(".", "/") for name in names}
    return {name for name in imported if (PACKAGE / f"{name}.py").exists()}


@pytest.mark.parametrize("walk", WALKS.values(), ids=WALKS.keys())
def test_walk_enters_at_most_twelve_modules_and_none_twice(walk: list[str]) -> None:
    assert 1 < len(walk) == len(set(walk)) <= 12


@pytest.mark.parametrize("walk", WALKS.values(), ids=WALKS.keys())
def test_each_module_of_a_walk_calls_only_modules_below_it(walk: list[str]) -> None:
    for place, module in enumerate(walk):
        above = _imports(module) & set(walk[:place])
        assert not above, f"{module} goes back to {sorted(above)}"


def test_the_walk_of_a_tick_leaves_out_no_module_of_the_engine() -> None:
    walk = WALKS["One tick of the engine"]
    assert walk[0] == "engine/tick"
    for module in walk:
        assert {name for name in _imports(module) if name.startswith("engine/")} <= set(walk)
