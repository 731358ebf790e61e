"""`python -m tests.support.postgres COMMAND…`: run COMMAND with the DATABASE_URL of a temporary PostgreSQL."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

USER = "foretell"
# Its data is thrown away, so nothing has to survive a power cut.
OPTIONS = {
    "listen_addresses": "", "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
    "max_connections": "300", "log_min_messages": "warning",
}  # fmt: skip
START_SECONDS = 30.0


class NotInstalledError(Exception):
    """What is not installed, and how to get it."""


def binaries() -> Path:
    """The folder of the newest PostgreSQL server here. Debian keeps it off the PATH."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if not installed:
        raise NotInstalledError("PostgreSQL is not installed; on Debian and Ubuntu: apt-get install postgresql")
    return installed[-1].parent


def account() -> dict[str, Any]:
    """Who runs the server: ourselves, but never root, whom PostgreSQL refuses."""
    if os.getuid() != 0:
        return {}
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        raise NotInstalledError(
            "root may not run PostgreSQL, and there is no user postgres: apt-get install postgresql"
        ) from None
    return {"user": "postgres", "group": "postgres", "extra_groups": []}


@contextmanager
def cluster(options: Mapping[str, str] = OPTIONS) -> Iterator[str]:
    """A running server, as a DATABASE_URL. `options` are those of postgresql.conf.

    Raises:
        NotInstalledError: there is no PostgreSQL here, or nobody who may run it.
    """
    programs, runner = binaries(), account()
    folder = Path(tempfile.mkdtemp(prefix="foretell-pg-"))
    try:
        if runner:
            shutil.chown(folder, runner["user"], runner["group"])
        how: dict[str, Any] = {"cwd": folder, "stdin": subprocess.DEVNULL, **runner}
        initdb: list[str | Path] = [
            programs / "initdb",
            "-D",
            folder / "data",
            "-U",
            USER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "-N",
        ]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, **how)
        server: list[str | Path] = [programs / "postgres", "-D", folder / "data", "-k", folder]
        server += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (folder / "log").open("wb") as log, subprocess.Popen(server, stdout=log, stderr=log, **how) as process:
            try:
                _wait_for(programs, folder, process)
                yield f"postgres://{USER}@{quote(str(folder), safe='')}/{USER}"
            finally:
                process.send_signal(signal.SIGQUIT)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(programs: Path, folder: Path, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + START_SECONDS
    create: list[str | Path] = [programs / "createdb", "-h", folder, "-U", USER, USER]
    while subprocess.run(create, capture_output=True).returncode:
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"PostgreSQL did not start:\n{(folder / 'log').read_text()}")
        time.sleep(0.1)


def main(command: list[str]) -> int:
    signal.signal(signal.SIGTERM, _leave)
    try:
        with cluster() as url:
            return subprocess.run(command, env={**os.environ, "DATABASE_URL": url}).returncode
    except NotInstalledError as error:
        print(f"{error}. Not run on PostgreSQL: {' '.join(command)}")
        return int(os.environ.get("CI") == "true")


def _leave(number: int, frame: object) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
