"""Globs that choose models, features and outputs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from otel_mlmon.rulefile.quantities import quoted, shown
from otel_mlmon.wire.semconv import FIELD_PREDICTION, FIELD_SHADOW, score_field

_SCORE_FIELD: Final = re.compile(re.escape(score_field("\0")).replace("\0", "(.*)"), re.DOTALL)
_OUTPUT: Final = re.compile(r"!?(prediction|score( .+)?)", re.DOTALL)


def chosen(name: str, patterns: Sequence[str]) -> bool:
    """Whether a list of globs chooses `name`: a plain glob matches, and no `!` glob matches.

    A list of `!` globs only chooses from all names.

    >>> chosen("rooms", ["*", "!id"]), chosen("id", ["*", "!id"]), chosen("rooms", ["!id"]), chosen("x", [])
    (True, False, True, False)
    """
    excluded = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")] or (["*"] if excluded else [])
    return any(fnmatchcase(name, glob) for glob in wanted) and not any(fnmatchcase(name, glob) for glob in excluded)


def output_name(field: str) -> str | None:
    """Return a field's name in `outputs`: `prediction`, `score <class>`; None for a feature. No rule can name `shadow`.

    >>> output_name("(prediction)"), output_name("(score high)"), output_name("(shadow)"), output_name("rooms")
    ('prediction', 'score high', 'shadow', None)
    """
    if field == FIELD_PREDICTION:
        return "prediction"
    if field == FIELD_SHADOW:
        return "shadow"
    score = _SCORE_FIELD.fullmatch(field)
    return f"score {score[1]}" if score else None


def output_glob(pattern: str) -> str:
    """Expand `score` to the scores of all classes."""
    return f"{pattern} *" if pattern.removeprefix("!") == "score" else pattern


def text(value: object) -> str:
    """Return `value` if it is text of one line; otherwise raise ValueError."""
    if isinstance(value, (bool, int, float)):
        raise ValueError(f"found {shown(value)}, allowed is text; put it in quotes")
    if not isinstance(value, str):
        raise ValueError(f"found {shown(value)}, allowed is text")
    if not value.strip():
        raise ValueError("found empty text")
    if not value.isprintable():
        raise ValueError(f"found {quoted(value)}, which has characters that cannot be printed")
    return value


def _label(value: object) -> str:
    """Return text; write whole numbers and truth values as JSON."""
    if isinstance(value, (bool, int)):
        return shown(value)
    return text(value)


def _glob(value: object) -> str:
    glob = text(value)
    if glob == "!":
        raise ValueError('found "!", allowed is a name or glob after the !')
    return glob


def _output(value: object) -> str:
    output = _glob(value)
    if not _OUTPUT.fullmatch(output):
        raise ValueError(f'found {quoted(output)}, allowed: "prediction", "score", or "score GLOB" for some classes')
    return output


def _no_repeats(values: tuple[str, ...]) -> tuple[str, ...]:
    repeated = next((value for index, value in enumerate(values) if value in values[:index]), None)
    if repeated is not None:
        raise ValueError(f"{quoted(repeated)} is there twice")
    return values


_SCHEMA: Final = {"type": "string", "minLength": 1}

Text = Annotated[str, BeforeValidator(text), WithJsonSchema(_SCHEMA)]
Label = Annotated[str, BeforeValidator(_label), WithJsonSchema({"type": ["string", "integer", "boolean"]})]
Glob = Annotated[str, BeforeValidator(_glob), WithJsonSchema(_SCHEMA)]
OutputGlob = Annotated[
    str, BeforeValidator(_output), WithJsonSchema({"type": "string", "pattern": r"^!?(prediction|score( .+)?)$"})
]
Texts = Annotated[tuple[Text, ...], AfterValidator(_no_repeats)]
Globs = Annotated[tuple[Glob, ...], AfterValidator(_no_repeats)]
OutputGlobs = Annotated[tuple[OutputGlob, ...], AfterValidator(_no_repeats)]
