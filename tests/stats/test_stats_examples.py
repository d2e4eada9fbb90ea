"""Every public function of otel_mlmon.stats shows an example, which the run of doctests then checks."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

import otel_mlmon.stats

MODULES = [m.name for m in pkgutil.walk_packages(otel_mlmon.stats.__path__, "otel_mlmon.stats.") if not m.ispkg]


@pytest.mark.parametrize("name", MODULES)
def test_public_functions_have_an_example(name: str) -> None:
    module = importlib.import_module(name)
    functions = [f for _, f in inspect.getmembers(module, inspect.isfunction) if f.__module__ == name]
    public = [f for f in functions if not f.__name__.startswith(("_", "<"))]
    assert [f.__name__ for f in public if ">>>" not in (f.__doc__ or "")] == []
