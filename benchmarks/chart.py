"""Draws a horizontal bar chart as SVG text."""

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, LABELS, BARS = 760, 190, 480
LINE, GAP, TOP = 22, 34, 28

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2430; }
.head { font-weight: 600; }
.bar { fill: #9aa7b8; }
.ours { fill: #2563a8; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6e9ef; } .bar { fill: #66748a; } .ours { fill: #6aa5e6; }
}
"""

Bars = Sequence[tuple[str, float]]


def draw(groups: Mapping[str, Bars]) -> str:
    """Draw one group of bars for each workload. Each group has its own scale."""
    parts, top = [], TOP
    for name, bars in groups.items():
        parts.append(_group(name, bars, top))
        top += len(bars) * LINE + GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" role="img" '
        f'aria-label="Predictions per second at 32 connections">\n<style>{STYLE}</style>\n{"".join(parts)}</svg>\n'
    )


def _group(name: str, bars: Bars, top: int) -> str:
    longest = max((figure for _, figure in bars), default=0.0)
    lines = [
        f'<text class="head" x="0" y="{top - 8}">{escape(name)}: predictions per second at 32 connections</text>\n'
    ]
    for place, (title, figure) in enumerate(bars):
        lines.append(_bar(title, figure, longest, top + place * LINE))
    return "".join(lines)


def _bar(title: str, figure: float, longest: float, top: int) -> str:
    width = max(round(BARS * figure / longest), 1) if longest else 1
    kind = "bar ours" if title.startswith("foretell") else "bar"
    base = top + LINE - 8
    return (
        f'<text x="{LABELS - 8}" y="{base}" text-anchor="end">{escape(title)}</text>'
        f'<rect class="{kind}" x="{LABELS}" y="{top + 2}" width="{width}" height="{LINE - 6}" rx="2"/>'
        f'<text x="{LABELS + width + 6}" y="{base}">{figure:.0f}</text>\n'
    )
