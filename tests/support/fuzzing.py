"""The number of examples of the fuzz tests, and a count of the requests.

FUZZ_EXAMPLES=1000 makes a long run; `make fuzz` does that for pages, JSON API and Open Inference Protocol.
"""

import os
from collections import Counter

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
# The number of requests of each interface, printed at the end of a long run.
asked: Counter[str] = Counter()


def examples(usual: int) -> settings:
    """`usual` examples, always the same; or FUZZ_EXAMPLES examples, chosen by pytest's --hypothesis-seed."""
    return settings(
        max_examples=EXAMPLES or usual, deadline=None, derandomize=not EXAMPLES, suppress_health_check=list(HealthCheck)
    )


def summary() -> list[str]:
    lines = [f"{interface}: {count:,} requests" for interface, count in sorted(asked.items())]
    return [*lines, f"total: {asked.total():,} requests"] if EXAMPLES and asked else []
