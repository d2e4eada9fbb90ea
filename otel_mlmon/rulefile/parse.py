"""Parse a document into groups of rules; collect all mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from otel_mlmon.rulefile.checks import FAMILIES, KINDS, Rule, keys, methods
from otel_mlmon.rulefile.document import Document, Path, Problem
from otel_mlmon.rulefile.group import Group
from otel_mlmon.rulefile.messages import Mistake, mistakes_of, unknown
from otel_mlmon.rulefile.quantities import quoted, shown
from otel_mlmon.rulefile.rule import RuleBase
from otel_mlmon.rulefile.templates import required_labels

_COMMON: Final = frozenset(field.alias or name for name, field in RuleBase.model_fields.items())
_ANY: Final = frozenset().union(*map(keys, KINDS.values()))


def groups(document: Document) -> tuple[list[Group], list[Problem]]:
    """Return the groups without mistakes, and the problems of the others."""
    data = document.data
    good: list[Group] = []
    mistakes: list[Mistake] = []
    if data is None:
        return [], [Problem((0, 0), 'the file is empty; allowed is a mapping with the key "groups"')]
    if not isinstance(data, dict):
        mistakes.append(Mistake((), f'found {shown(data)}, allowed is a mapping with the key "groups"'))
    else:
        mistakes += [Mistake((key,), unknown("key", key, ["groups"]), at_key=True) for key in data if key != "groups"]
        raw = data.get("groups")
        if "groups" not in data:
            mistakes.append(Mistake((), 'key "groups" is missing'))
        elif not isinstance(raw, list) or not raw:
            mistakes.append(
                Mistake(("groups",), f"groups: found {shown(raw)}, allowed is a list of at least one group")
            )
        else:
            for index, item in enumerate(raw):
                group, wrong = _group(item, ("groups", index))
                mistakes += wrong
                good += [group] if group else []
    return good, _problems(document, mistakes)


def _problems(document: Document, mistakes: list[Mistake]) -> list[Problem]:
    located = list(document.problems)
    for mistake in mistakes:
        if mistake.path not in document.broken:
            place = document.place(mistake.path, key=mistake.at_key)
            located.append((mistake.path, Problem(place, mistake.message)))
    return [Problem(problem.place, _where(document.data, path) + problem.message) for path, problem in located]


def group_names(data: Any) -> list[tuple[int, str]]:
    """Return index and name of every group with a name, also of groups with mistakes."""
    raw = data.get("groups") if isinstance(data, dict) else None
    named = enumerate(raw if isinstance(raw, list) else ())
    return [(i, group["name"]) for i, group in named if isinstance(group, dict) and isinstance(group.get("name"), str)]


def _where(data: Any, path: Path) -> str:
    """Return `group "x", rule "y": `, as far as the path leads into a group and a rule."""
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
    mistakes: list[Mistake] = []
    rules: list[Rule] = []
    listed = raw.get("rules")
    if "rules" in raw and (not isinstance(listed, list) or not listed):
        mistakes.append(
            Mistake((*at, "rules"), f"rules: found {shown(listed)}, allowed is a list of at least one rule")
        )
    budget = _budget(raw)
    for index, item in enumerate(listed if isinstance(listed, list) else ()):
        rule, wrong = _rule({**budget, **item} if isinstance(item, dict) else item, (*at, "rules", index))
        mistakes += wrong
        rules += [rule] if rule else []
        mistakes += _unknown_labels(item, raw, (*at, "rules", index))
    mistakes += _repeated_alerts(listed, at)
    try:
        group = Group.model_validate({**raw, "rules": rules} if "rules" in raw else raw)
    except ValidationError as error:
        mistakes += mistakes_of(error, Group.model_fields, at)
        return None, mistakes + _blanks(raw, at, mistakes)
    mistakes += _blanks(raw, at, mistakes)
    return (None if mistakes else group), mistakes


def _budget(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the group's budget of false alarms, which its rules inherit. A mistaken budget is reported elsewhere."""
    budget = raw.get("false_alarms")
    try:
        Group.model_validate({"name": "x", "model": "x", "false_alarms": budget, "rules": []})
    except ValidationError:
        return {}
    return {"false_alarms": budget} if budget is not None else {}


def _rule(raw: Any, at: Path) -> tuple[Rule | None, list[Mistake]]:
    if not isinstance(raw, dict):
        return None, [Mistake(at, f"found {shown(raw)}, allowed is a mapping with the keys of a rule")]
    chosen, mistakes = _checks(raw, at)
    candidates = list(dict.fromkeys(KINDS[kind] for kind in chosen))
    allowed = {key for model in candidates for key in keys(model)}
    family, method = chosen[0]
    try:
        # The keys that name the check are validated already.
        rule = candidates[0].model_validate({k: v for k, v in raw.items() if k not in FAMILIES} | {family: method})
    except ValidationError as error:
        if len(candidates) == 1:
            mistakes += mistakes_of(error, allowed, at, f"{family}: {method}", _ANY)
        else:
            mistakes += [m for m in mistakes_of(error, allowed, at) if _holds_for_all(m, len(at), allowed)]
        return None, mistakes + _blanks(raw, at, mistakes)
    mistakes += _blanks(raw, at, mistakes)
    return (None if mistakes else rule), mistakes


def _blanks(raw: Mapping[str, Any], at: Path, mistakes: list[Mistake]) -> list[Mistake]:
    """Report keys without a value; otherwise they would count as missing keys."""
    judged = {mistake.path for mistake in mistakes}
    blank = [key for key, value in raw.items() if value is None and (*at, key) not in judged]
    return [Mistake((*at, key), f"{key}: found nothing; write a value or leave the key out") for key in blank]


def _checks(raw: Mapping[str, Any], at: Path) -> tuple[list[tuple[Any, str]], list[Mistake]]:
    """Return the checks that a rule may mean, as (family, method), and mistakes. A clear rule has one check."""
    named = [family for family in raw if family in FAMILIES]
    if not named:
        return list(KINDS), [Mistake(at, f"no check; add one of {', '.join(FAMILIES)}")]
    mistakes: list[Mistake] = []
    for extra in named[1:]:
        message = f"two checks, {named[0]} and {extra}; a rule has one of {', '.join(FAMILIES)}"
        mistakes.append(Mistake((*at, extra), message, at_key=True))
    possible: list[tuple[Any, str]] = []
    for family in named:
        allowed = methods(family)
        if raw[family] in allowed:
            possible.append((family, raw[family]))
        else:
            mistakes.append(Mistake((*at, family), unknown(f"{family} method", raw[family], allowed)))
            possible += [(family, method) for method in allowed]
    return possible, mistakes


def _holds_for_all(mistake: Mistake, depth: int, allowed: set[str]) -> bool:
    """Whether a mistake is a mistake for every check that the rule may mean."""
    return len(mistake.path) > depth and (mistake.path[depth] in _COMMON or mistake.path[depth] not in allowed)


def _repeated_alerts(rules: Any, at: Path) -> list[Mistake]:
    mistakes: list[Mistake] = []
    first: dict[str, int] = {}
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        alert = rule.get("alert") if isinstance(rule, dict) else None
        if not isinstance(alert, str):
            continue
        if alert in first:
            message = f"alert: the name is taken by rule {first[alert] + 1} of this group"
            mistakes.append(Mistake((*at, "rules", index, "alert"), message))
        first.setdefault(alert, index)
    return mistakes


def _unknown_labels(rule: Any, group: Mapping[str, Any], at: Path) -> list[Mistake]:
    """Report labels that an annotation needs and the alert does not have."""
    texts = rule.get("annotations") if isinstance(rule, dict) else None
    if not isinstance(texts, dict):
        return []
    mappings = [source.get("labels") for source in (group, rule)]
    labels = sorted({label for mapping in mappings if isinstance(mapping, dict) for label in mapping})
    mistakes: list[Mistake] = []
    for name, text in texts.items():
        for label in sorted(_needed(text).difference(labels)):
            message = f"annotations.{name}: " + unknown("label", label, labels)
            mistakes.append(Mistake((*at, "annotations", name), message))
    return mistakes


def _needed(template: Any) -> frozenset[str]:
    try:
        return required_labels(template) if isinstance(template, str) else frozenset()
    except ValueError:  # the validation of the rule reports it
        return frozenset()
