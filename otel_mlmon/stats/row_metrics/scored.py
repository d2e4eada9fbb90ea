"""Which class a metric of scores is about, and which rows count."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from otel_mlmon.stats.outcomes import Mask, MetricOptions, Outcomes

if TYPE_CHECKING:
    from otel_mlmon.values import Floats


class Scored(NamedTuple):
    """Rows with scores. One column per class: of one class alone where the metric is about that one."""

    classes: tuple[str, ...]
    truth: npt.NDArray[np.int64]  # column of the true class; -1 for a class that is none of `classes`
    scores: Floats  # rows × classes

    def is_class(self, column: int) -> Mask:
        """Which rows are truly of that class."""
        found: Mask = self.truth == column
        return found


def known_classes(outcomes: Outcomes) -> tuple[str, ...]:
    """The classes that have scores or came true, in order of name.

    >>> from otel_mlmon.stats.outcomes import labelled
    >>> known_classes(labelled(["no", "yes"], {"yes": [0.1, 0.8]}))
    ('no', 'yes')
    """
    codes = np.unique(outcomes.true_class[outcomes.true_class >= 0])
    return tuple(sorted({*_scored_classes(outcomes), *(outcomes.classes[code] for code in codes.tolist())}))


def positive_class(outcomes: Outcomes, options: MetricOptions) -> str | None:
    """The class that the metric is about: `options.positive`; else of two classes (or of one) the one that has scores, the last
    in order of name if both have; None with more classes, which are then all meant.

    >>> from otel_mlmon.stats.outcomes import labelled
    >>> positive_class(labelled(["no", "yes"], {"no": [0.1, 0.8]}), MetricOptions())
    'no'
    """
    if options.positive is not None:
        return options.positive
    known = known_classes(outcomes)
    scored = _scored_classes(outcomes)
    return scored[-1] if scored and len(known) <= 2 else None


def scored(outcomes: Outcomes, options: MetricOptions, *, probabilities: bool = False) -> Scored:
    """The rows that `usable` names. Raises ValueError when there are scores, but none that tell of the class in question, and
    when `probabilities` are asked for and scores are not between 0 and 1.

    >>> from otel_mlmon.stats.outcomes import labelled
    >>> scored(labelled(["no", "yes"], {"yes": [0.25, 0.75]}), MetricOptions("no")).scores.tolist()
    [[0.75], [0.25]]
    """
    rows = usable(outcomes, options)
    positive = positive_class(outcomes, options)
    known = known_classes(outcomes)
    wanted = (positive,) if positive is not None else _scored_classes(outcomes)
    columns = [_column(outcomes, name, known)[rows] for name in wanted]
    scores = np.column_stack(columns) if columns else np.zeros((int(rows.sum()), 0))
    if probabilities:
        for name, column in zip(wanted, scores.T, strict=True):
            outside = column[(column < 0) | (column > 1)]
            if len(outside):
                raise ValueError(f"scores must be probabilities, 0 to 1, found {outside[0]} for class {name!r}")
    place = {name: i for i, name in enumerate(wanted)}
    column_of = np.array([*(place.get(name, -1) for name in outcomes.classes), -1], np.int64)
    return Scored(wanted, column_of[outcomes.true_class[rows]], scores)


def usable(outcomes: Outcomes, options: MetricOptions) -> Mask:
    """Rows whose true class is known and whose scores, those that the metric needs, are finite.

    >>> from otel_mlmon.stats.outcomes import labelled
    >>> usable(labelled(["no", "yes"], {"yes": [0.25, float("nan")]}), MetricOptions()).tolist()
    [True, False]
    """
    mask: Mask = outcomes.true_class >= 0
    names = _scored_classes(outcomes)
    if not names:
        return np.zeros(len(outcomes), np.bool_)
    positive = positive_class(outcomes, options)
    known = known_classes(outcomes)
    for name in names if positive is None else (positive,):
        mask = mask & np.isfinite(_column(outcomes, name, known))
    return mask


def _scored_classes(outcomes: Outcomes) -> tuple[str, ...]:
    return tuple(sorted(name for name, column in outcomes.scores.items() if np.isfinite(column).any()))


def _column(outcomes: Outcomes, name: str, known: tuple[str, ...]) -> Floats:
    """Scores of the class; of the one of two classes that has none, 1 - the other's."""
    found = outcomes.scores.get(name)
    if found is not None and np.isfinite(found).any():
        return found
    have = _scored_classes(outcomes)
    if len(have) == 1 and set(known) <= {name, *have}:
        return 1 - outcomes.scores[have[0]]
    raise ValueError(f"no scores of class {name!r}; there are some of {', '.join(map(repr, have)) or 'none'}")
