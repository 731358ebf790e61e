"""Environments of foreign programs, each with its own packages, installed once into the user's cache.

FORETELL_TEST_ENVIRONMENTS names another folder. A test is skipped, with the reason, where an environment cannot be had.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.needs import need

SECONDS = 600
FOLDER = Path(os.environ.get("FORETELL_TEST_ENVIRONMENTS") or Path.home() / ".cache/foretell/test-environments")


def python_with(*packages: str) -> Path:
    """The interpreter of an environment with these packages and what they need."""
    folder = _folder("-".join(packages), "\n".join([sys.version, *packages]).encode())
    python = folder / "bin/python"
    if not _is_whole(folder):
        _install(["uv", "venv", "--quiet", "--clear", "--python", sys.executable, "."], folder)
        _install(["uv", "pip", "install", "--quiet", "--python", str(python), *packages], folder)
        _mark_whole(folder)
    return python


def node_with(lock: Path) -> Path:
    """A folder with the packages of a lock file in `node_modules`."""
    need(shutil.which("npm"), "npm is missing: it installs the clients that run on Node.js")
    folder = _folder(lock.parent.name, lock.read_bytes())
    if not _is_whole(folder):
        for name in ("package.json", lock.name):
            shutil.copy(lock.with_name(name), folder)
        _install(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], folder)
        _mark_whole(folder)
    return folder


def run(command: Sequence[object], folder: Path | None = None) -> str:
    """The standard output of a program that must succeed."""
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if done.returncode:
        pytest.fail(f"{done.stdout[-2000:]}{done.stderr[-3000:]}", pytrace=False)
    return done.stdout


def _folder(name: str, contents: bytes) -> Path:
    folder = FOLDER / f"{name}-{hashlib.sha256(contents).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _is_whole(folder: Path) -> bool:
    return (folder / "whole").exists()


def _mark_whole(folder: Path) -> None:
    (folder / "whole").touch()


def _install(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    need(done.returncode == 0, f"{folder.name} cannot be installed here: {done.stderr.strip().splitlines()[-1:]}")
