"""The decisions and doubts of an import, as lines for a terminal."""

from collections.abc import Iterator, Sequence

from predictions.serving.importing.columns import Decision
from predictions.serving.importing.doubts import Doubt

WIDEST = 40
# At most this many columns are shown; model.toml has all of them.
MOST_ROWS = 100


def table(decisions: Sequence[Decision]) -> Iterator[str]:
    """A line for each column: its name, its kind, why it is that, and what the data holds."""
    rows = [("column", "kind", "why"), *(_row(decision) for decision in decisions[:MOST_ROWS])]
    widths = [min(WIDEST, max(len(row[place]) for row in rows)) for place in (0, 1)]
    for name, kind, why in rows:
        yield f"  {_cut(name):<{widths[0]}}  {kind:<{widths[1]}}  {why}".rstrip()
    if len(decisions) > MOST_ROWS:
        yield f"  … and {len(decisions) - MOST_ROWS} more columns"


def questions(doubts: Sequence[Doubt]) -> Iterator[str]:
    for doubt in doubts:
        text = doubt.text if doubt.text.endswith(("?", ".")) else f"{doubt.text}."
        yield f"  - {text} See {doubt.place}." if doubt.place else f"  - {text}"


def _row(decision: Decision) -> tuple[str, str, str]:
    feature = decision.feature
    kind = feature.kind if feature.required else f"{feature.kind}, optional"
    seen = f" ({decision.seen})" if decision.seen else ""
    return feature.name, kind, f"{decision.why}{seen}"


def _cut(name: str) -> str:
    return name if len(name) <= WIDEST else f"{name[: WIDEST - 1]}…"
