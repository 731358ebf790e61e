"""`python -m tests.support.openapi_lint`: Spectral and Redocly on the OpenAPI document. Prints SKIPPED without npm.

The packages are pinned, with their hashes, in `openapi-lint/package-lock.json`. They are installed once, into VAR_DIR.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from project.env import BASE_DIR, read_env

PINNED = Path(__file__).with_name("openapi-lint")
DOCUMENT = BASE_DIR / "docs/reference/openapi.yaml"
INSTALL_SECONDS, LINT_SECONDS = 300, 60
# The linters send no telemetry and do not look for updates.
QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "NO_COLOR": "1"}


def main() -> int:
    if not shutil.which("npm"):
        print("SKIPPED: the OpenAPI document was not linted, npm is not on the PATH")
        return 0
    if (programs := installed()) is None:
        print("SKIPPED: the OpenAPI document was not linted, npm could not install Spectral and Redocly")
        return 0
    found = complaints(programs)
    print(found or "The OpenAPI document is clean by Spectral and Redocly")
    return bool(found)


def complaints(programs: Path, document: Path = DOCUMENT) -> str:
    """The output of both linters, including warnings; empty if they find nothing."""
    commands = (
        ["spectral", "lint", "--fail-severity", "warn", "--ruleset", str(PINNED / "spectral.yaml"), str(document)],
        ["redocly", "lint", "--format", "stylish", "--config", str(PINNED / "redocly.yaml"), str(document)],
    )
    return "\n".join(filter(None, (_complaints_of(programs, command) for command in commands)))


def installed() -> Path | None:
    """The folder of the programs; None if they could not be installed. A complete installation is used again."""
    lock = (PINNED / "package-lock.json").read_bytes()
    folder = read_env().var_dir / "openapi-lint" / hashlib.sha256(lock).hexdigest()[:12]
    programs, whole = folder / "node_modules/.bin", folder / "whole"
    if whole.exists():
        return programs
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PINNED / name, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    if not _succeeds(command, folder):
        return None
    whole.touch()
    return programs


def _succeeds(command: list[str], folder: Path) -> bool:
    try:
        return subprocess.run(command, cwd=folder, timeout=INSTALL_SECONDS, stdout=subprocess.DEVNULL).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _complaints_of(programs: Path, command: list[str]) -> str:
    name, *arguments = command
    done = subprocess.run(
        [programs / name, *arguments],
        capture_output=True, text=True, timeout=LINT_SECONDS, env={**os.environ, **QUIET},
    )  # fmt: skip
    return f"{name}:\n{done.stdout}{done.stderr}" if done.returncode else ""


if __name__ == "__main__":
    sys.exit(main())
