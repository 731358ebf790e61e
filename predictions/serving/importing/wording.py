"""Words that several messages of an import share."""

from collections.abc import Sequence

MOST_NAMES = 12


def listed(names: Sequence[object]) -> str:
    """The names, separated by commas; of many, the first ones and the number of the others."""
    words = [str(name) for name in names]
    more = f" and {len(words) - MOST_NAMES} more" if len(words) > MOST_NAMES else ""
    return ", ".join(words[:MOST_NAMES]) + more
