"""Estimated shares, such as probabilities, as text."""

from collections.abc import Callable

LEAST, MOST = 0.001, 0.999


def estimate_text(share: float, write: Callable[[float], str]) -> str:
    """The share as `write` writes it. No estimate is shown as certain, nor as impossible."""
    if share < LEAST:
        return f"< {write(LEAST)}"
    return f"> {write(MOST)}" if share > MOST else write(share)
