"""Check and render the templates of annotations.

They are a small part of Jinja: names, `if`, comparisons and a few filters. Without loops, calls and arithmetic, a
template cannot run long, and it can only read its values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, UndefinedError, nodes
from jinja2.sandbox import SandboxedEnvironment

from otel_mlmon.rulefile.quantities import quoted

NAMES: Final = ("feature", "value", "threshold", "model", "version", "segment", "rows", "p_value", "finding", "labels")
_GUARDS: Final = frozenset({"default", "defined", "undefined"})
_LONGEST: Final = 4_000
_ALLOWED: Final = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Const),
    *(nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Filter, nodes.Keyword),
    *(nodes.If, nodes.CondExpr, nodes.Test),
    *(nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg),
)


def _percent(value: float | None, digits: int = 1) -> str:
    """Write 0.0234 as 2.3%."""
    if value is None:
        return "unknown"
    return f"{_clean(f'{float(value) * 100:.{max(0, min(digits, 12))}f}')}%"


def _round(value: float | None, digits: int = 0) -> str:
    if value is None:
        return "unknown"
    return f"{float(value):.{max(0, min(digits, 12))}f}"


def _clean(number: str) -> str:
    return number.rstrip("0").rstrip(".") if "." in number else number


def _readable(value: Any) -> Any:
    """Format the value of `{{ name }}`: numbers with four significant digits, None as "unknown"."""
    if value is None:
        return "unknown"
    if not isinstance(value, float):
        return value
    return f"{value:.0f}" if 1_000 <= abs(value) < 1e15 else f"{value:.4g}"


class _Environment(SandboxedEnvironment):
    def getattr(self, obj: Any, attribute: str) -> Any:
        """Read entries of mappings only: `labels.items` is the label of that name, not a method."""
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return self.undefined(obj=obj, name=attribute)


_ENVIRONMENT: Final = _Environment(undefined=StrictUndefined, finalize=_readable, cache_size=0)
_ENVIRONMENT.globals.clear()
_ENVIRONMENT.filters = {
    "percent": _percent,
    "round": _round,
    **{name: _ENVIRONMENT.filters[name] for name in ("upper", "lower", "default")},
}
_ENVIRONMENT.tests = {name: _ENVIRONMENT.tests[name] for name in ("defined", "undefined", "none")}


def render(source: str, values: Mapping[str, Any]) -> str:
    """Render a template with `values`, which has all `NAMES`.

    Raises ValueError if a value is missing or does not fit its filter.
    """
    try:
        return _compiled(source).render(values)
    except (UndefinedError, TypeError, ValueError) as error:
        raise ValueError(f"the template {quoted(source)} cannot be filled in: {error}") from error


@lru_cache(maxsize=1024)
def _compiled(source: str) -> Template:
    return _ENVIRONMENT.from_string(source)


def required_labels(source: str) -> frozenset[str]:
    """Return the labels that a template requires. Raises ValueError, with the allowed syntax, if it is no template."""
    if len(source) > _LONGEST:
        raise ValueError(f"template of {len(source)} characters, the longest is {_LONGEST}")
    try:
        tree = _ENVIRONMENT.parse(source)
        _check(tree)
        # Jinja reports unknown filters and tests only when it compiles the tree.
        _ENVIRONMENT.compile(tree)
    except TemplateSyntaxError as error:
        raise ValueError(f"template {quoted(source)}: {_advice(error.message or 'syntax error')}") from None
    except (RecursionError, SyntaxError, MemoryError):
        raise ValueError(f"template {quoted(source)}: nested too deeply") from None
    except (TypeError, ValueError, ArithmeticError) as error:
        raise ValueError(f"template {quoted(source)}: {error}") from None
    return frozenset(_mentioned_labels(tree))


def _check(tree: nodes.Template) -> None:
    for node in tree.find_all(nodes.Node):
        if not isinstance(node, _ALLOWED):
            raise TemplateSyntaxError(
                f"{type(node).__name__.lower()} is not available; allowed: {{{{ name }}}}, filters, if", 1
            )
        if isinstance(node, nodes.Name) and node.name not in NAMES:
            raise TemplateSyntaxError(f"unknown name {quoted(node.name)}; allowed: {', '.join(NAMES)}", 1)
        if isinstance(node, nodes.Getattr | nodes.Getitem) and not _is_label(node):
            raise TemplateSyntaxError("only labels have parts, e.g. {{ labels.severity }}", 1)


def _is_label(node: nodes.Getattr | nodes.Getitem) -> bool:
    named = isinstance(node.node, nodes.Name) and node.node.name == "labels"
    return named and (isinstance(node, nodes.Getattr) or isinstance(getattr(node.arg, "value", None), str))


def _mentioned_labels(tree: nodes.Template) -> Iterator[str]:
    guards = [*tree.find_all(nodes.Filter), *tree.find_all(nodes.Test)]
    # A label with a default, or with a test for its presence, may be missing.
    optional = {id(node) for guard in guards if guard.name in _GUARDS for node in guard.find_all(nodes.Node)}
    yield from (node.attr for node in tree.find_all(nodes.Getattr) if id(node) not in optional)
    yield from (node.arg.as_const() for node in tree.find_all(nodes.Getitem) if id(node) not in optional)


def _advice(message: str) -> str:
    if message.startswith("No filter named"):
        name = message.split("'")[1]
        return f"unknown filter {quoted(name)}; allowed: {', '.join(_ENVIRONMENT.filters)}"
    if message.startswith("No test named"):
        name = message.split("'")[1]
        return f"unknown test {quoted(name)}; allowed: {', '.join(_ENVIRONMENT.tests)}"
    return message.rstrip(".")
