"""manage.py sets the wait policy of OpenMP, unless the environment has one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from project.env import BASE_DIR

SHOW = "import os; print(os.environ['OMP_WAIT_POLICY'])"


@pytest.mark.parametrize(("chosen", "policy"), [({}, "passive"), ({"OMP_WAIT_POLICY": "active"}, "active")])
def test_wait_policy_is_passive_unless_it_is_set(tmp_path: Path, chosen: dict[str, str], policy: str) -> None:
    env = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", SHOW]

    done = subprocess.run(
        command,
        cwd=BASE_DIR,
        env={**env, **chosen, "VAR_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == [policy]
