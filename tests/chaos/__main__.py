"""`python -m tests.chaos`: run all fault scenarios on all databases, and write docs/reference/reliability.md."""

import argparse
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import django

# This program creates its own databases. It must not use the one that the shell names.
os.environ.pop("DATABASE_URL", None)
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()

from project.env import BASE_DIR  # noqa: E402 - after the settings
from tests.chaos import report  # noqa: E402
from tests.chaos.runner import Result, run_all  # noqa: E402
from tests.chaos.scenario import Scenario  # noqa: E402
from tests.chaos.scenarios import SCENARIOS  # noqa: E402
from tests.chaos.stage import Stage, train  # noqa: E402
from tests.support.postgres import NotInstalledError, cluster  # noqa: E402

DATABASES = ("sqlite", "postgres")
OUT = BASE_DIR / "var/chaos"
SEED = 20261121


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, _exit)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    start = time.monotonic()
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="foretell-chaos-") as folder:
        _log("training the models")
        trained = train(Path(folder) / "trained")
        for database in options.database:
            models = Path(folder) / database
            shutil.copytree(trained, models)
            results += _run_on(database, models, [SCENARIOS[name] for name in options.only], options)
    _write(results, options, time.monotonic() - start)
    return 0 if all(result.held for result in results) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=SCENARIOS, metavar="NAME", help=f"of: {', '.join(SCENARIOS)}"
    )
    parser.add_argument("--database", action="append", choices=DATABASES, help="the default is both")
    parser.add_argument("--quick", action="store_true", help="short faults, to test the setup")
    parser.add_argument("--seed", type=int, default=SEED, help=f"the seed of random choices ({SEED})")
    options = parser.parse_args()
    options.is_complete = not (options.only or options.database or options.quick)
    options.only = options.only or list(SCENARIOS)
    options.database = options.database or list(DATABASES)
    return options


def _run_on(database: str, models: Path, chosen: Sequence[Scenario], options: argparse.Namespace) -> list[Result]:
    collected = OUT / "static"
    collected.mkdir(parents=True, exist_ok=True)
    stage = Stage(database, models, collected, seed=options.seed, quick=options.quick)
    try:
        with _server(database):
            return list(run_all(stage, chosen, _log))
    except NotInstalledError as error:
        return [Result(one, database, not_run=str(error)) for one in chosen]


@contextmanager
def _server(database: str) -> Iterator[None]:
    if database == "sqlite":
        yield
        return
    with cluster() as url:
        os.environ["DATABASE_URL"] = url
        try:
            yield
        finally:
            del os.environ["DATABASE_URL"]


def _write(results: Sequence[Result], options: argparse.Namespace, seconds: float) -> None:
    """Write the page of the documentation after a complete run, and a file in var/ after a partial one."""
    command = "make chaos" if options.is_complete else " ".join(["python -m tests.chaos", *sys.argv[1:]])
    path = report.PAGE if options.is_complete else OUT / "reliability.md"
    path.write_text(report.page(results, command=command, seed=options.seed, seconds=seconds))
    print(f"\n{report.table(results)}\n\nWritten: {path}", flush=True)


def _log(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def _exit(number: int, frame: object) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
