"""`python -m tests.siege`: attack the web server from one address, and print how others are served meanwhile.

Then a crowd of callers, each from its own address, asks at one time.
"""

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django

# This program creates its own database. It must not use the one that the shell names.
os.environ.pop("DATABASE_URL", None)
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()

logging.getLogger("httpx").setLevel(logging.WARNING)

from project.env import BASE_DIR  # noqa: E402 - after the settings
from tests.siege import crowd, runner  # noqa: E402
from tests.siege.attacks import ATTACKS  # noqa: E402
from tests.support.stack import Stack, prepared  # noqa: E402

CROWD = "crowd"
NAMES = [*ATTACKS, CROWD]
SECONDS = 30.0
QUICK_SECONDS = 5.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.siege", description=__doc__)
    parser.add_argument("--only", action="append", choices=NAMES, metavar="NAME", help=f"of: {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SECONDS:g} s instead of {SECONDS:g} s each")
    options = parser.parse_args()
    chosen, seconds = options.only or NAMES, QUICK_SECONDS if options.quick else SECONDS
    with tempfile.TemporaryDirectory(prefix="foretell-siege-") as folder, _stack(Path(folder)) as stack:
        outcomes = _attacked(stack, [name for name in chosen if name != CROWD], seconds)
        crowds = crowd.run(int(stack.env["PORT"])) if CROWD in chosen else []
    if outcomes:
        print(f"\n{runner.table(outcomes)}")
    if crowds:
        print(f"\n{crowd.table(crowds)}")
    return 0 if all(one.held() for one in [*outcomes, *crowds]) else 1


@contextmanager
def _stack(folder: Path) -> Iterator[Stack]:
    collected = BASE_DIR / "var/siege/static"
    collected.mkdir(parents=True, exist_ok=True)
    with prepared(runner.trained(folder / "models"), collected, folder) as stack:
        runner.prepare(stack)
        stack.start("redis", "worker", "keeper", "web")
        yield stack


def _attacked(stack: Stack, names: list[str], seconds: float) -> list[runner.Outcome]:
    outcomes = []
    for outcome in runner.run_all(stack, names, seconds) if names else ():
        print(f"{outcome.name}: {'held' if outcome.held() else 'NOT HELD'}", flush=True)
        outcomes.append(outcome)
    return outcomes


if __name__ == "__main__":
    sys.exit(main())
