"""A second start on the same data is refused in one sentence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from project.env import BASE_DIR
from project.single import AlreadyRunsError, hold

MODULES = {"project.local": "running.lock", "project.dev_redis": "redis/server.lock"}


@pytest.mark.parametrize(("module", "lock"), MODULES.items())
def test_second_start_in_one_checkout_is_refused_in_a_sentence(tmp_path: Path, module: str, lock: str) -> None:
    (tmp_path / lock).parent.mkdir(exist_ok=True)
    hold(tmp_path / lock)
    environment = {**os.environ, "VAR_DIR": str(tmp_path), "REDIS_URL": ""}

    done = subprocess.run(
        [sys.executable, "-m", module], cwd=BASE_DIR, env=environment, capture_output=True, text=True, timeout=30
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"Foretell already runs here (process {os.getpid()} holds {tmp_path / lock}): stop it first, or give this start"
        " a VAR_DIR and a PORT of its own.\n"
    )


def test_lock_ends_with_the_program_that_the_holder_became(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    code = f"import os, pathlib, project.single as s; s.hold(pathlib.Path({str(lock)!r})); os.execvp('cat', ['cat'])"
    with subprocess.Popen([sys.executable, "-c", code], cwd=BASE_DIR, stdin=-1, stdout=-1) as became:
        assert became.stdin
        assert became.stdout
        became.stdin.write(b"here\n")
        became.stdin.flush()
        became.stdout.readline()  # the program runs
        with pytest.raises(AlreadyRunsError):
            hold(lock)
        became.stdin.close()

    hold(lock)
