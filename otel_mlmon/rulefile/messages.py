"""What pydantic found wrong with a mapping, in the words of the rule file."""

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
    """What is wrong with the value (or the key) at a path of a document."""

    path: Path
    message: str
    at_key: bool = False


_EXPECTED: Final = {
    "tuple_type": "a list",
    "mapping_type": "a mapping such as {severity: critical}",
    "dict_type": "a mapping",
    "string_type": "text",
}


def mistakes(
    error: ValidationError, allowed: Iterable[str], at: Path, check: str = "", elsewhere: Container[object] = ()
) -> list[Mistake]:
    """The mistakes of a mapping that stands at `at` and may have the keys `allowed`.

    A rule also says which `check` it is; keys that are in `elsewhere` belong to other checks.
    """
    keys = sorted(allowed)
    found: list[Mistake] = []
    for detail in error.errors(include_url=False):
        if detail["type"] == "extra_forbidden":
            key = detail["loc"][-1]
            stray = f"key {shown(key)} does not go with {check}; allowed: {', '.join(keys)}"
            message = stray if key in elsewhere else unknown("key", key, keys)
            found.append(Mistake((*at, *detail["loc"]), message, at_key=True))
        elif not _is_consequence(detail):
            found.append(_mistake(detail, at))
    return found


def _is_consequence(detail: ErrorDetails) -> bool:
    """Whether another mistake, reported too, is behind this one: a list is too short without its wrong items."""
    return detail["type"] == "default_factory_not_called" or (detail["type"] == "too_short" and bool(detail["input"]))


def unknown(what: str, found: object, allowed: Sequence[str]) -> str:
    """The message on a name that is not one of `allowed`."""
    close = get_close_matches(found[:100], allowed, n=1) if isinstance(found, str) else []
    hint = f', did you mean "{close[0]}"?' if close else ";"
    return f"unknown {what} {shown(found)}{hint} allowed: {', '.join(allowed) or 'none'}"


def _mistake(detail: ErrorDetails, at: Path) -> Mistake:
    location = detail["loc"]
    kind = detail["type"]
    context: dict[str, Any] = detail.get("ctx", {})
    found = detail["input"]
    if kind == "missing":
        return Mistake((*at, *location), f'key "{location[-1]}" is missing')
    if kind == "problem":
        return Mistake((*at, *location, *context["at"]), context["message"], at_key=True)
    at_key = bool(location) and location[-1] == "[key]"
    if at_key:
        location = location[:-1]
    name = ".".join(str(part) for part in location if isinstance(part, str))
    prefix = f"{name}: " if name else ""
    return Mistake((*at, *location), prefix + _what(kind, context, found, detail["msg"]), at_key=at_key)


def _what(kind: str, context: dict[str, Any], found: object, message: str) -> str:
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return f"found {shown(found)}, allowed: {context['expected'].replace(chr(39), '').replace(' or ', ', ')}"
    if kind == "too_short":
        return f"found {shown(found)}, allowed is a list of at least one"
    if kind in _EXPECTED:
        hint = f"; write [{quoted(found)}]" if kind == "tuple_type" and isinstance(found, str) else ""
        return f"found {shown(found)}, allowed is {_EXPECTED[kind]}{hint}"
    return f"found {shown(found)}: {message}"
