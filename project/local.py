"""`python -m project.local`: prepare this checkout, then become honcho, which runs all lines of the Procfile."""

import os
import subprocess
import sys

from project.env import read_env
from project.private import make_private
from project.single import AlreadyRunsError, hold


def main() -> None:
    env = read_env()
    make_private(env.var_dir)
    try:
        hold(env.var_dir / "running.lock")
    except AlreadyRunsError as error:
        sys.exit(str(error))
    if code := subprocess.run([sys.executable, "manage.py", "prepare"]).returncode:
        sys.exit(code)
    os.execvp("honcho", ["honcho", "start"])


if __name__ == "__main__":
    main()
