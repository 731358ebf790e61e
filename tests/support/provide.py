"""`python -m tests.support.provide`: find or install the programs that the tests need, and print one line for each.

The Python packages are installed before. Exits with 1 under CI=true when a program is missing; otherwise the tests
that need it are skipped, and the last lines of the test run name it.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support import nginx, postgres

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 600  # for one installation


def browser() -> str | None:
    """The browser for the tests: the system's, else the one that Playwright has installed."""
    return next(filter(None, map(shutil.which, BROWSERS)), None) or _playwright_browser()


def _playwright_browser() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() and _succeeds([path, "--version"]) else None


def find_or_install_browser() -> str | None:
    if found := browser():
        return found
    print("Browser: none yet; trying playwright install chromium …", flush=True)
    if _succeeds([sys.executable, "-m", "playwright", "install", "chromium"]) and (found := browser()):
        return found
    _apt_install("chromium", "fonts-dejavu-core")
    return browser()


def postgresql() -> str | None:
    """The folder of PostgreSQL's programs."""
    try:
        return str(postgres.binaries())
    except postgres.NotInstalledError:
        return None


def find_or_install_postgresql() -> str | None:
    if not postgresql():
        _apt_install("postgresql")
    return postgresql()


def openssl() -> str | None:
    return shutil.which("openssl")


def find_or_install_openssl() -> str | None:
    if not openssl():
        _apt_install("openssl")
    return openssl()


def find_or_install_nginx() -> str | None:
    if not nginx.find():
        _apt_install("nginx-light")
    return nginx.find()


def _apt_install(*packages: str) -> None:
    """Install Debian packages where that is possible: as root, with apt-get."""
    if os.getuid() != 0 or not shutil.which("apt-get"):
        return
    print(f"Installing {' '.join(packages)} by apt-get …", flush=True)
    # A package list that cannot be brought up to date may still be good enough.
    _succeeds(["apt-get", "update", "-qq"])
    _succeeds(["apt-get", "install", "-y", "-qq", *packages], DEBIAN_FRONTEND="noninteractive")


def _succeeds(command: list[str], **variables: str) -> bool:
    try:
        done = subprocess.run(
            command, env={**os.environ, **variables}, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


# For each program: how it is looked for, how it is provided, and what is not tested without it.
PROGRAMS: dict[str, tuple[Callable[[], str | None], Callable[[], str | None], str]] = {
    "Browser": (
        browser,
        find_or_install_browser,
        "the browser tests are skipped; install Chromium, on Debian: apt-get install chromium fonts-dejavu-core",
    ),
    "PostgreSQL": (
        postgresql,
        find_or_install_postgresql,
        "nothing is tested on PostgreSQL; install its server, on Debian: apt-get install postgresql",
    ),
    "OpenSSL": (
        openssl,
        find_or_install_openssl,
        "Redis over TLS is not tested; install its program, on Debian: apt-get install openssl",
    ),
    "nginx": (
        nginx.find,
        find_or_install_nginx,
        "the site behind a proxy is not tested; install it, on Debian: apt-get install nginx",
    ),
}


def missing() -> list[str]:
    """A sentence for each program that is not here."""
    return [f"{name} is missing: {effect}" for name, (find, _, effect) in PROGRAMS.items() if not find()]


def main() -> int:
    for name, (_, provide, effect) in PROGRAMS.items():
        print(f"{name}: {provide() or f'missing: {effect}'}", flush=True)
    return int(os.environ.get("CI") == "true" and bool(missing()))


if __name__ == "__main__":
    sys.exit(main())
