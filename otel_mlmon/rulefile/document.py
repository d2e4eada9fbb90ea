"""Read YAML text as plain data, with the line and column of each value.

Scalars follow YAML 1.2: `on`, `off`, `yes`, `1:30` and dates are text. Aliases and merge keys work, within limits of
depth and size.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from otel_mlmon.rulefile.quantities import quoted

Path = tuple[str | int, ...]
Place = tuple[int, int]  # line and column, from 1

_DEEPEST: Final = 32
_MOST_VALUES: Final = 100_000
_TAG: Final = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem at a place of one file."""

    place: Place
    message: str


class Unreadable(Exception):
    """The text is no YAML, or too deep or too large."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(place, message)


@dataclass(slots=True)
class Document:
    """Plain data, the places of its keys and values, and the problems of the YAML itself."""

    data: Any = None
    places: dict[Path, Place] = field(default_factory=dict)
    key_places: dict[Path, Place] = field(default_factory=dict)
    problems: list[tuple[Path, Problem]] = field(default_factory=list)
    broken: set[Path] = field(default_factory=set)  # values that already have a problem

    def place(self, path: Path, *, key: bool = False) -> Place:
        """Return the place of the value (or its key) at `path`; for a missing path, the place of its nearest parent."""
        if key and path in self.key_places:
            return self.key_places[path]
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, (1, 1))


def read(text: str) -> Document:
    """Read YAML text. Raises Unreadable if it is no YAML."""
    root = _compose(text)
    document = Document()
    if root is not None:
        document.data = _Builder(document).build(root, ())
    return document


class _Loader(yaml.SafeLoader):
    """PyYAML's parser with the scalars of YAML 1.2 and a limit of depth."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own shape
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise Unreadable(_place(self.get_mark()), f"more than {_DEEPEST} levels deep")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


_FLOAT: Final = r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
for _name, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9]{0,17})", list("-+0123456789")),
    ("float", _FLOAT, list("-+.0123456789")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(f"(?:{_pattern})\\Z", re.ASCII), _first)


def _place(mark: Any) -> Place:
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _compose(text: str) -> yaml.Node | None:
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        return loader.get_single_node()
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = (before.count("\n") + 1, error.position - (before.rfind("\n") + 1) + 1)
        raise Unreadable(place, f"character U+{int(error.character):04X} is not allowed in YAML") from None
    except yaml.MarkedYAMLError as error:
        raise Unreadable(_place(error.problem_mark or error.context_mark), _explained(error)) from None
    except (ValueError, OverflowError):  # PyYAML on an escape beyond Unicode
        raise Unreadable(_place(loader.get_mark() if loader else None), "an escape that is no character") from None


_HINTS: Final = (
    ("while scanning an alias", 'put globs in quotes: "*"'),
    ("found character '\\t'", "indent with spaces"),
    ("found character '%'", "put the text in quotes"),
    ("found character '@'", "put the text in quotes"),
    ("found character '`'", "put the text in quotes"),
    ("while parsing a flow sequence", "close it with ], and put names that start with ! in quotes"),
    ("while parsing a flow mapping", "close it with }, and put text that starts with {{ in quotes"),
    ("mapping values are not allowed here", "put text with a colon in quotes"),
)


def _explained(error: yaml.MarkedYAMLError) -> str:
    message = ", ".join(part for part in (error.context, error.problem) if part)
    hint = next((hint for start, hint in _HINTS if start in message), "")
    if error.context == "expected a single document in the stream":
        return "a second document; put all groups into one"
    return f"not YAML: {message}" + (f"; {hint}" if hint else "")


class _Builder:
    """Build data from nodes. Aliases are followed, so a node may be built several times: this needs limits."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._built = 0

    def build(self, node: yaml.Node, path: Path) -> Any:
        self._built += 1
        place = _place(node.start_mark)
        if len(path) > _DEEPEST:
            raise Unreadable(place, f"more than {_DEEPEST} levels deep, or an alias that contains itself")
        if self._built > _MOST_VALUES:
            raise Unreadable(place, f"more than {_MOST_VALUES} values once aliases are followed")
        self._document.places[path] = place
        if isinstance(node, yaml.MappingNode):
            self._check_tag(node, "map", path)
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            self._check_tag(node, "seq", path)
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, tuple[Place, yaml.Node]] = {}
        for key_node, value_node in node.value:
            place = _place(key_node.start_mark)
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(path, place, "a key that is not text; put text that starts with { or [ in quotes")
                self._document.broken.add(path)
            elif key_node.tag == f"{_TAG}merge":
                merged = {**self._merged(value_node, path), **merged}
            elif key_node.value in own:
                line = own[key_node.value][0][0]
                self._problem(path, place, f"key {quoted(key_node.value)} is there twice, first on line {line}")
            else:
                own[key_node.value] = (place, value_node)
        for key, (place, value_node) in own.items():
            self._document.key_places[(*path, key)] = place
            merged[key] = self.build(value_node, (*path, key))
        self._document.places[path] = _place(node.start_mark)  # a merge has moved it
        return merged

    def _merged(self, node: yaml.Node, path: Path) -> dict[str, Any]:
        """Merge mappings; the first wins, as YAML's merge key says."""
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        result: dict[str, Any] = {}
        for source in reversed(sources):
            if not isinstance(source, yaml.MappingNode):
                self._problem(path, _place(source.start_mark), "<< takes a mapping or a list of mappings")
                continue
            # The mapping's own keys overwrite these places later.
            result |= self.build(source, path)
        return result

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        text = str(node.value)
        kind = node.tag.removeprefix(_TAG)
        if kind == "null":
            return None
        if kind == "bool" and text.lower() in {"true", "false"}:
            return text.lower() == "true"
        try:
            if kind == "int":
                return int(text)
            if kind == "float":
                return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:  # an explicit tag that does not fit
            kind = "unfit"
        if kind != "str":
            self._bad_tag(node, path)
        return text

    def _check_tag(self, node: yaml.Node, expected: str, path: Path) -> None:
        if node.tag != _TAG + expected:
            self._bad_tag(node, path)

    def _bad_tag(self, node: yaml.Node, path: Path) -> None:
        shown = node.tag.replace(_TAG, "!!")
        self._problem(path, _place(node.start_mark), f"tag {quoted(shown)}; put text that starts with ! in quotes")
        self._document.broken.add(path)

    def _problem(self, path: Path, place: Place, message: str) -> None:
        problem = Problem(place, message)
        if all(problem != other for _, other in self._document.problems):  # seen already through another alias
            self._document.problems.append((path, problem))
