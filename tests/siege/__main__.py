"""`python -m tests.siege`: attack the web server from one address, and print how others are served meanwhile."""

import argparse
import logging
import os
import sys
import tempfile
from pathlib import Path

import django

# This program creates its own database. It must not use the one that the shell names.
os.environ.pop("DATABASE_URL", None)
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()

logging.getLogger("httpx").setLevel(logging.WARNING)

from project.env import BASE_DIR  # noqa: E402 - after the settings
from tests.siege import runner  # noqa: E402
from tests.siege.attacks import ATTACKS  # noqa: E402
from tests.support.stack import prepared  # noqa: E402

SECONDS = 30.0
QUICK_SECONDS = 5.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.siege", description=__doc__)
    parser.add_argument("--only", action="append", choices=ATTACKS, metavar="NAME", help=f"of: {', '.join(ATTACKS)}")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SECONDS:g} s instead of {SECONDS:g} s each")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="foretell-siege-") as folder:
        outcomes = _siege(Path(folder), options.only or list(ATTACKS), QUICK_SECONDS if options.quick else SECONDS)
    print(f"\n{runner.table(outcomes)}")
    return 0 if all(one.held() for one in outcomes) else 1


def _siege(folder: Path, names: list[str], seconds: float) -> list[runner.Outcome]:
    collected = BASE_DIR / "var/siege/static"
    collected.mkdir(parents=True, exist_ok=True)
    outcomes = []
    with prepared(runner.trained(folder / "models"), collected, folder) as stack:
        runner.prepare(stack)
        stack.start("redis", "worker", "keeper", "web")
        for outcome in runner.run_all(stack, names, seconds):
            print(f"{outcome.name}: {'held' if outcome.held() else 'NOT HELD'}", flush=True)
            outcomes.append(outcome)
    return outcomes


if __name__ == "__main__":
    sys.exit(main())
