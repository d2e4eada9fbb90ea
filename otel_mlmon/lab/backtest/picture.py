"""Draw the pictures of a backtest: the alerts over time, and the faults found by severity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from markupsafe import Markup

from otel_mlmon.export.pages import svg
from otel_mlmon.lab.backtest.matrix import SEVERITIES, Cell
from otel_mlmon.lab.backtest.past import Past
from otel_mlmon.lab.simulate.faults import FAULTS
from otel_mlmon.rulefile import Group

_LEFT: Final = 230
_ROW: Final = 22
_MARKS: Final = 6
_DAYS: Final = 20 * 86_400_000_000_000  # in a longer history, marks have no hour


def timeline(past: Past, groups: Sequence[Group]) -> Markup:
    """Draw a lane for each rule with a bar for each alert."""
    lanes = [(group.name, rule.alert) for group in groups for rule in group.rules]
    width, length = svg.WIDTH - _LEFT - 10, max(past.end - past.start, 1)
    parts: list[str] = []
    for i, (group, rule) in enumerate(lanes):
        y = i * _ROW
        parts += [
            svg.rectangle("lane", _LEFT, y, width, _ROW - 4),
            svg.words(_LEFT - 8, y + 13, svg.cut(rule, 34), "end"),
        ]
        for episode in past.episodes:
            alert = episode.alert
            if (alert.group, alert.rule) == (group, rule):
                x = _LEFT + width * (episode.start - past.start) / length
                bar_width = max(2.0, width * (episode.end - episode.start) / length)
                about = " ".join(filter(None, (alert.target.field, alert.target.segment)))
                parts.append(
                    svg.rectangle("bar", x, y, bar_width, _ROW - 4, f"{about}: {alert.verdict.result.message}")
                )
    format_ = "%Y-%m-%d" if length > _DAYS else "%m-%d %H:%M"
    for i in range(_MARKS + 1):
        moment = datetime.fromtimestamp((past.start + length * i / _MARKS) / 1e9, UTC).strftime(format_)
        anchor = "start" if i == 0 else "end" if i == _MARKS else "middle"
        parts.append(svg.words(_LEFT + width * i / _MARKS, len(lanes) * _ROW + 12, moment, anchor, "soft"))
    return svg.picture(parts, len(lanes) * _ROW + 18, "when each rule fired")


def heat(counts: Mapping[str, Mapping[str, Sequence[Cell]]]) -> Markup:
    """Draw a heat map: a row for each kind of fault, a column for each severity; a darker green means more found."""
    severities = [severity for severity in SEVERITIES if any(severity in by for by in counts.values())]
    width = (svg.WIDTH - _LEFT - 10) / max(len(severities), 1)
    parts = [svg.words(_LEFT + width * (i + 0.5), 14, name, "middle", "soft") for i, name in enumerate(severities)]
    for row, (kind, by) in enumerate(counts.items(), start=1):
        y = row * _ROW
        parts.append(svg.words(_LEFT - 8, y + 14, f"{FAULTS[kind].indicator}: {kind}", "end"))
        for i, severity in enumerate(severities):
            cells = by.get(severity, ())
            if not cells:
                continue
            waited = sorted(cell.windows for cell in cells if cell.windows is not None)
            step = round(4 * len(waited) / len(cells))
            missed = ", ".join(cell.injection.fault.field or "all" for cell in cells if cell.windows is None)
            tip = f"not found: {missed}" if missed else "all found"
            text = f"{len(waited)} of {len(cells)}" + (f", after {waited[len(waited) // 2]:.2g}" if waited else "")
            parts.append(svg.rectangle(f"heat{step}", _LEFT + width * i, y, width - 3, _ROW - 3, tip))
            parts.append(svg.words(_LEFT + width * (i + 0.5), y + 14, text, "middle", tip=tip))
    return svg.picture(parts, (len(counts) + 1) * _ROW + 4, "faults found, by severity")
