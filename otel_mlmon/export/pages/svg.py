"""Draw pictures as SVG text: frame, shapes, text, scale. Every text is escaped; colours come from CSS classes."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

WIDTH = 820


def picture(parts: Sequence[str], height: float, label: str) -> Markup:
    """Join `parts`, which the functions below have made, into a picture."""
    return Markup(  # noqa: S704 - they escape
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def rectangle(
    kind: str, x: float, y: float, width: float, height: float, tip: str = "", *, opacity: float | None = None
) -> str:
    """Draw a bar; `tip` is shown under the pointer."""
    pale = "" if opacity is None else f' fill-opacity="{opacity:.2f}"'
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}"{pale}>'
        f"{_tip(tip)}</rect>"
    )


def dot(kind: str, x: float, y: float, radius: float, tip: str) -> str:
    """Draw a point; `tip` is shown under the pointer."""
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}">{_tip(tip)}</circle>'


def line(kind: str, points: Sequence[tuple[float, float]]) -> str:
    """Draw a line through points."""
    return f'<polyline class="{kind}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def area(kind: str, points: Sequence[tuple[float, float]]) -> str:
    """Draw a filled polygon."""
    return f'<polygon class="{kind}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def words(x: float, y: float, text: str, anchor: str = "start", kind: str = "", tip: str = "") -> str:
    """Write text; `anchor` is start, middle or end."""
    style = f' class="{kind}"' if kind else ""
    return f'<text{style} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}{_tip(tip)}</text>'


def cut(text: str, characters: int) -> str:
    """Cut text to `characters`, with … at the end if it was cut."""
    return text if len(text) <= characters else text[: characters - 1] + "…"


def percent(share: float) -> str:
    """Write a share as a percentage; small shares have a decimal."""
    if share == 0:
        return "0%"
    if share < 0.001:
        return "<0.1%"
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"


def round_steps(low: float, high: float, about: int = 4) -> list[float]:
    """Return round numbers between two numbers, for an axis."""
    if not high > low:
        return [low]
    rough = (high - low) / about
    power = 10.0 ** _exponent(rough)
    step = next((power * m for m in (1, 2, 2.5, 5, 10) if power * m >= rough), rough)
    first = int(low / step) - 1
    marks = (step * (first + i) for i in range(4 * about + 4))
    return [0.0 if abs(m) < step / 1e6 else m for m in marks if low - step / 1e6 <= m <= high + step / 1e6]


def _exponent(value: float) -> int:
    return int(f"{value:e}".partition("e")[2])


def _tip(text: str) -> str:
    return f"<title>{escape(text)}</title>" if text else ""
