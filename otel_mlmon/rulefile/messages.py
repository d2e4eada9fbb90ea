"""Turn pydantic's validation errors into messages in the terms of the rule file."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from otel_mlmon.rulefile.document import Path
from otel_mlmon.rulefile.quantities import quoted, shown


@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake in the value (or the key) at a path of a document."""

    path: Path
    message: str
    at_key: bool = False


_EXPECTED: Final = {
    "tuple_type": "a list",
    "mapping_type": "a mapping such as {severity: critical}",
    "dict_type": "a mapping",
    "string_type": "text",
}


def mistakes_of(
    error: ValidationError, allowed: Iterable[str], at: Path, check: str = "", elsewhere: Container[object] = ()
) -> list[Mistake]:
    """Return the mistakes of the mapping at path `at`, which may have the keys `allowed`.

    `check`: the check of a rule. `elsewhere`: keys that belong to other checks.
    """
    keys = sorted(allowed)
    mistakes: list[Mistake] = []
    for detail in error.errors(include_url=False):
        if detail["type"] == "extra_forbidden":
            key = detail["loc"][-1]
            stray = f"key {shown(key)} does not go with {check}; allowed: {', '.join(keys)}"
            message = stray if key in elsewhere else unknown("key", key, keys)
            mistakes.append(Mistake((*at, *detail["loc"]), message, at_key=True))
        elif not _is_consequence(detail):
            mistakes.append(_mistake(detail, at))
    return mistakes


def _is_consequence(detail: ErrorDetails) -> bool:
    """Whether another reported mistake causes this one: a list is too short without its wrong items."""
    return detail["type"] == "default_factory_not_called" or (detail["type"] == "too_short" and bool(detail["input"]))


def unknown(kind: str, name: object, allowed: Sequence[str]) -> str:
    """Return the message about a name that is not in `allowed`."""
    close = get_close_matches(name[:100], allowed, n=1) if isinstance(name, str) else []
    hint = f', did you mean "{close[0]}"?' if close else ";"
    return f"unknown {kind} {shown(name)}{hint} allowed: {', '.join(allowed) or 'none'}"


def _mistake(detail: ErrorDetails, at: Path) -> Mistake:
    location = detail["loc"]
    kind = detail["type"]
    context: dict[str, Any] = detail.get("ctx", {})
    value = detail["input"]
    if kind == "missing":
        return Mistake((*at, *location), f'key "{location[-1]}" is missing')
    if kind == "problem":
        return Mistake((*at, *location, *context["at"]), context["message"], at_key=True)
    at_key = bool(location) and location[-1] == "[key]"
    if at_key:
        location = location[:-1]
    name = ".".join(str(part) for part in location if isinstance(part, str))
    prefix = f"{name}: " if name else ""
    return Mistake((*at, *location), prefix + _message(kind, context, value, detail["msg"]), at_key=at_key)


def _message(kind: str, context: dict[str, Any], value: object, message: str) -> str:
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return f"found {shown(value)}, allowed: {context['expected'].replace(chr(39), '').replace(' or ', ', ')}"
    if kind == "too_short":
        return f"found {shown(value)}, allowed is a list of at least one"
    if kind in _EXPECTED:
        hint = f"; write [{quoted(value)}]" if kind == "tuple_type" and isinstance(value, str) else ""
        return f"found {shown(value)}, allowed is {_EXPECTED[kind]}{hint}"
    return f"found {shown(value)}: {message}"
