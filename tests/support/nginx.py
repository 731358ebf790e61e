"""A real nginx with the configuration of deploy/nginx/, on a free port of `localhost`."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from project.env import BASE_DIR
from tests.support.certificate import self_signed
from tests.support.needs import need
from tests.support.product import free_port
from tests.support.waiting import wait_until

CONFIGURATION = BASE_DIR / "deploy/nginx/nginx.conf"
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def find() -> str | None:
    """The path of nginx, or None. Debian installs it in a folder that is not on the PATH of every user."""
    return shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


@contextmanager
def running(folder: Path, site_port: str, changes: Mapping[str, str]) -> Iterator[str]:
    """Start nginx in front of the site at `site_port`, with the certificate `certificate.pem` in `folder`.

    Yields its address.

    Args:
        changes: texts of the configuration, each with its replacement.
    """
    program = find()
    need(program, "nginx is missing: it is the proxy in these tests; on Debian: apt-get install nginx")
    self_signed(folder)
    port = free_port()
    (folder / "nginx.conf").write_text(_configuration(folder, port, site_port, changes))
    command = [str(program), "-e", "stderr", "-c", str(folder / "nginx.conf"), "-g", _globals(folder)]
    with (folder / "nginx.log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log)
    try:
        wait_until(lambda: _listens(port), 10, "nginx listens")
        yield f"https://localhost:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _configuration(folder: Path, port: int, site_port: str, changes: Mapping[str, str]) -> str:
    """The configuration of deploy/nginx/ with the names and ports of this machine, and then `changes`."""
    text = re.sub(r".*listen \[::\].*\n", "", CONFIGURATION.read_text())
    own = {
        "/etc/ssl/foretell/fullchain.pem": f"{folder}/certificate.pem",
        "/etc/ssl/foretell/privkey.pem": f"{folder}/key.pem",
        "listen 443": f"listen 127.0.0.1:{port}",
        "listen 80": f"listen 127.0.0.1:{free_port()}",
        "foretell.example.org": "localhost",
        "127.0.0.1:8000": f"127.0.0.1:{site_port}",
        # With a port other than the default, the header Host includes the port.
        "Host $host;": "Host $http_host;",
        "http {\n": f"http {{\naccess_log {folder}/access.log;\n{_folders(folder)}",
    }
    for old, new in {**own, **changes}.items():
        assert old in text, f"{old!r} is not in {CONFIGURATION}"
        text = text.replace(old, new)
    return text


def _folders(folder: Path) -> str:
    return "".join(f"{name}_temp_path {folder}/{name};\n" for name in TEMPORARY)


def _globals(folder: Path) -> str:
    """Global settings. A master process of root would start workers of a user who may not read `folder`."""
    user = "user root; " if os.getuid() == 0 else ""
    return f"{user}daemon off; pid {folder}/nginx.pid;"


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
