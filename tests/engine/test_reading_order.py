"""One tick can be read module by module, in the order of ARCHITECTURE.md, without going back to one that was left."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "otel_mlmon"


def _listed() -> list[str]:
    """Modules of one tick, as the section "Where to start reading" numbers them."""
    section = (ROOT / "ARCHITECTURE.md").read_text("utf-8").partition("## Where to start reading")[2]
    return re.findall(r"^\d+\. `((?:engine|checks|diagnosis)/\w+)\.py`", section, re.MULTILINE)


def _imports(module: str) -> set[str]:
    """Modules of the three rooms that a module imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            paths = [name.removeprefix("otel_mlmon.").replace(".", "/") for name in names]
            found |= {path for path in paths if re.fullmatch(r"(engine|checks|diagnosis)/\w+", path)}
    return found


def test_one_tick_enters_at_most_twelve_modules() -> None:
    listed = _listed()
    assert listed[0] == "engine/tick"
    assert len(listed) == len(set(listed)) <= 12


def test_each_module_of_a_tick_calls_only_modules_below_it() -> None:
    listed = _listed()
    for place, module in enumerate(listed):
        above = _imports(module) & set(listed[:place])
        assert not above, f"{module} goes back to {sorted(above)}"


def test_no_module_of_the_engine_is_left_out() -> None:
    listed = _listed()
    for module in listed:
        assert {name for name in _imports(module) if name.startswith("engine/")} <= set(listed)
