"""The server that is started if none is configured, and the error message if no server is installed."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from project import dev_redis
from project.dev_redis import server_binary
from project.env import BASE_DIR


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The programs that this machine seems to have. Tests add names."""
    programs: set[str] = set()
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}" if name in programs else None)
    return programs


def test_server_of_the_machine_comes_first(installed: set[str]) -> None:
    installed |= {"redis-server", "valkey-server"}
    assert server_binary() == "/usr/bin/redis-server"
    installed.remove("redis-server")
    assert server_binary() == "/usr/bin/valkey-server"


def test_server_in_the_wheel_can_be_executed(installed: set[str]) -> None:
    assert installed == set()
    assert os.access(server_binary(), os.X_OK)
    said = subprocess.run([server_binary(), "--version"], capture_output=True, text=True, check=True).stdout
    assert said.startswith("Valkey server v=")


@pytest.mark.parametrize("is_there", [True, False])
def test_machine_without_any_server_is_told_the_remedy(
    installed: set[str], monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    """The package is missing, or it is installed without its server."""

    def files(name: str) -> list[Any]:
        if is_there:
            return []
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(dev_redis, "files", files)
    with pytest.raises(FileNotFoundError, match="Run make setup, or install redis-server, or set REDIS_URL"):
        server_binary()


def test_server_that_cannot_be_started_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "redis-server").write_text("not a program")
    (tmp_path / "redis-server").chmod(0o755)
    env = {**os.environ, "PATH": str(tmp_path), "REDIS_URL": "", "VAR_DIR": str(tmp_path / "var")}
    command = [sys.executable, "-m", "project.dev_redis"]

    done = subprocess.run(command, cwd=BASE_DIR, env=env, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert str(tmp_path / "redis-server") in done.stderr
    assert len(done.stderr.splitlines()) == 1
