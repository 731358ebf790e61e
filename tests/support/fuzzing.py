"""How often the fuzz tests ask, in one place, and how often they did.

FUZZ_EXAMPLES=1000 makes a long run of any of them; `make fuzz` does it for the doors.
"""

import os
from collections import Counter

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
# Cases by door, printed at the end of a long run.
asked: Counter[str] = Counter()


def examples(usual: int) -> settings:
    """`usual` cases and the same ones each time; or as many as FUZZ_EXAMPLES says, by pytest's --hypothesis-seed."""
    return settings(
        max_examples=EXAMPLES or usual, deadline=None, derandomize=not EXAMPLES, suppress_health_check=list(HealthCheck)
    )


def summary() -> list[str]:
    lines = [f"{door}: {count:,} cases" for door, count in sorted(asked.items())]
    return [*lines, f"in all: {asked.total():,} cases"] if EXAMPLES and asked else []
