"""The table of all checks and the rule model of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, get_args

from otel_mlmon.rulefile.drift_rules import DriftModel
from otel_mlmon.rulefile.integrity_rules import IntegrityModel
from otel_mlmon.rulefile.outcome_rules import OutcomeModel
from otel_mlmon.rulefile.performance_rules import PerformanceModel
from otel_mlmon.rulefile.rule import Family

Rule = IntegrityModel | DriftModel | PerformanceModel | OutcomeModel
RuleModel = type[Rule]


def _kinds() -> Iterator[tuple[tuple[Family, str], RuleModel]]:
    for model in get_args(Rule):
        for method in get_args(model.model_fields[model.family].annotation):
            yield (model.family, method), model


KINDS: Final[Mapping[tuple[Family, str], RuleModel]] = dict(_kinds())
"""Every check: (family, method) → the model of its rules."""

FAMILIES: Final[tuple[Family, ...]] = get_args(Family)


def methods(family: Family) -> tuple[str, ...]:
    """Return the methods of a family, in the order of the documentation."""
    return tuple(method for other, method in KINDS if other == family)


def keys(model: RuleModel) -> set[str]:
    """Return the keys that a rule of this model may have, as the file spells them."""
    return {field.alias or name for name, field in model.model_fields.items()}
