"""A document to groups of rules, with every mistake on the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from otel_mlmon.rulefile.checks import FAMILIES, KINDS, Rule, keys, methods
from otel_mlmon.rulefile.document import Document, Path, Problem
from otel_mlmon.rulefile.group import Group
from otel_mlmon.rulefile.messages import Mistake, mistakes, unknown
from otel_mlmon.rulefile.quantities import quoted, shown
from otel_mlmon.rulefile.rule import RuleBase
from otel_mlmon.rulefile.templates import required_labels

_COMMON: Final = frozenset(field.alias or name for name, field in RuleBase.model_fields.items())
_ANY: Final = frozenset().union(*map(keys, KINDS.values()))


def groups(document: Document) -> tuple[list[Group], list[Problem]]:
    """The groups without mistakes, and the problems of the others."""
    data = document.data
    good: list[Group] = []
    found: list[Mistake] = []
    if data is None:
        return [], [Problem((0, 0), 'the file is empty; allowed is a mapping with the key "groups"')]
    if not isinstance(data, dict):
        found.append(Mistake((), f'found {shown(data)}, allowed is a mapping with the key "groups"'))
    else:
        found += [Mistake((key,), unknown("key", key, ["groups"]), at_key=True) for key in data if key != "groups"]
        raw = data.get("groups")
        if "groups" not in data:
            found.append(Mistake((), 'key "groups" is missing'))
        elif not isinstance(raw, list) or not raw:
            found.append(Mistake(("groups",), f"groups: found {shown(raw)}, allowed is a list of at least one group"))
        else:
            for index, item in enumerate(raw):
                group, wrong = _group(item, ("groups", index))
                found += wrong
                good += [group] if group else []
    return good, _problems(document, found)


def _problems(document: Document, found: list[Mistake]) -> list[Problem]:
    located = list(document.problems)
    for mistake in found:
        if mistake.path not in document.broken:
            place = document.place(mistake.path, key=mistake.at_key)
            located.append((mistake.path, Problem(place, mistake.message)))
    return [Problem(problem.place, _where(document.data, path) + problem.message) for path, problem in located]


def group_names(data: Any) -> list[tuple[int, str]]:
    """Index and name of every group that has a name, mistaken or not."""
    raw = data.get("groups") if isinstance(data, dict) else None
    named = enumerate(raw if isinstance(raw, list) else ())
    return [(i, group["name"]) for i, group in named if isinstance(group, dict) and isinstance(group.get("name"), str)]


def _where(data: Any, path: Path) -> str:
    """`group "x", rule "y": `, as far as the path leads into one."""
    parts = []
    for kind, container, name in (("group", "groups", "name"), ("rule", "rules", "alert")):
        if len(path) < 2 or path[0] != container or not isinstance(path[1], int):
            break
        data = data[container][path[1]]
        title = data.get(name) if isinstance(data, dict) else None
        parts.append(f"{kind} {quoted(title)}" if isinstance(title, str) and title else f"{kind} {path[1] + 1}")
        path = path[2:]
    return ", ".join(parts) + ": " if parts else ""


def _group(raw: Any, at: Path) -> tuple[Group | None, list[Mistake]]:
    if not isinstance(raw, dict):
        return None, [Mistake(at, f"found {shown(raw)}, allowed is a mapping with the keys of a group")]
    found: list[Mistake] = []
    rules: list[Rule] = []
    listed = raw.get("rules")
    if "rules" in raw and (not isinstance(listed, list) or not listed):
        found.append(Mistake((*at, "rules"), f"rules: found {shown(listed)}, allowed is a list of at least one rule"))
    budget = _budget(raw)
    for index, item in enumerate(listed if isinstance(listed, list) else ()):
        rule, wrong = _rule({**budget, **item} if isinstance(item, dict) else item, (*at, "rules", index))
        found += wrong
        rules += [rule] if rule else []
        found += _unknown_labels(item, raw, (*at, "rules", index))
    found += _repeated_alerts(listed, at)
    try:
        group = Group.model_validate({**raw, "rules": rules} if "rules" in raw else raw)
    except ValidationError as error:
        found += mistakes(error, Group.model_fields, at)
        return None, found + _blanks(raw, at, found)
    found += _blanks(raw, at, found)
    return (None if found else group), found


def _budget(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The group's budget of false alarms, which each rule inherits, unless it is mistaken and reported for the group."""
    given = raw.get("false_alarms")
    try:
        Group.model_validate({"name": "x", "model": "x", "false_alarms": given, "rules": []})
    except ValidationError:
        return {}
    return {"false_alarms": given} if given is not None else {}


def _rule(raw: Any, at: Path) -> tuple[Rule | None, list[Mistake]]:
    if not isinstance(raw, dict):
        return None, [Mistake(at, f"found {shown(raw)}, allowed is a mapping with the keys of a rule")]
    chosen, found = _checks(raw, at)
    candidates = list(dict.fromkeys(KINDS[kind] for kind in chosen))
    known = {key for model in candidates for key in keys(model)}
    family, method = chosen[0]
    try:
        # What names the check has been judged already.
        rule = candidates[0].model_validate({k: v for k, v in raw.items() if k not in FAMILIES} | {family: method})
    except ValidationError as error:
        if len(candidates) == 1:
            found += mistakes(error, known, at, f"{family}: {method}", _ANY)
        else:
            found += [m for m in mistakes(error, known, at) if _holds_for_all(m, len(at), known)]
        return None, found + _blanks(raw, at, found)
    found += _blanks(raw, at, found)
    return (None if found else rule), found


def _blanks(raw: Mapping[str, Any], at: Path, found: list[Mistake]) -> list[Mistake]:
    """Keys with nothing behind them, which would otherwise read as if they were not there."""
    judged = {mistake.path for mistake in found}
    blank = [key for key, value in raw.items() if value is None and (*at, key) not in judged]
    return [Mistake((*at, key), f"{key}: found nothing; write a value or leave the key out") for key in blank]


def _checks(raw: Mapping[str, Any], at: Path) -> tuple[list[tuple[Any, str]], list[Mistake]]:
    """The checks that a rule may mean, (family, method): one if it is clear, never none; and what is unclear."""
    named = [family for family in raw if family in FAMILIES]
    if not named:
        return list(KINDS), [Mistake(at, f"no check; add one of {', '.join(FAMILIES)}")]
    found: list[Mistake] = []
    for extra in named[1:]:
        message = f"two checks, {named[0]} and {extra}; a rule has one of {', '.join(FAMILIES)}"
        found.append(Mistake((*at, extra), message, at_key=True))
    possible: list[tuple[Any, str]] = []
    for family in named:
        allowed = methods(family)
        if raw[family] in allowed:
            possible.append((family, raw[family]))
        else:
            found.append(Mistake((*at, family), unknown(f"{family} method", raw[family], allowed)))
            possible += [(family, method) for method in allowed]
    return possible, found


def _holds_for_all(mistake: Mistake, depth: int, known: set[str]) -> bool:
    """Whether a mistake is one whichever check is meant."""
    return len(mistake.path) > depth and (mistake.path[depth] in _COMMON or mistake.path[depth] not in known)


def _repeated_alerts(rules: Any, at: Path) -> list[Mistake]:
    found: list[Mistake] = []
    first: dict[str, int] = {}
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        alert = rule.get("alert") if isinstance(rule, dict) else None
        if not isinstance(alert, str):
            continue
        if alert in first:
            message = f"alert: the name is taken by rule {first[alert] + 1} of this group"
            found.append(Mistake((*at, "rules", index, "alert"), message))
        first.setdefault(alert, index)
    return found


def _unknown_labels(rule: Any, group: Mapping[str, Any], at: Path) -> list[Mistake]:
    """Labels that an annotation needs and the alert will not have."""
    texts = rule.get("annotations") if isinstance(rule, dict) else None
    if not isinstance(texts, dict):
        return []
    given = [source.get("labels") for source in (group, rule)]
    labels = sorted({label for mapping in given if isinstance(mapping, dict) for label in mapping})
    found: list[Mistake] = []
    for name, text in texts.items():
        for label in sorted(_needed(text).difference(labels)):
            message = f"annotations.{name}: " + unknown("label", label, labels)
            found.append(Mistake((*at, "annotations", name), message))
    return found


def _needed(template: Any) -> frozenset[str]:
    try:
        return required_labels(template) if isinstance(template, str) else frozenset()
    except ValueError:  # reported where the rule is validated
        return frozenset()
