"""The product as separate processes: the Procfile, a free port, and an environment without the shell's settings."""

import os
import socket
import sys
from pathlib import Path

from project.env import BASE_DIR, Env


def procfile() -> dict[str, str]:
    """The command of each process, by its name."""
    lines = (BASE_DIR / "Procfile").read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines if line)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(**variables: object) -> dict[str, str]:
    """The shell's environment with the defaults of all settings, and then `variables`.

    Each setting is named, so that neither the shell nor `.env` can change it.
    """
    shell = {name: value for name, value in os.environ.items() if name.lower() not in Env.model_fields}
    defaults = {name.upper(): str(field.default) for name, field in Env.model_fields.items()}
    usual = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SECRET_KEY": "a key for tests and benchmarks only, without any value",
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
        "CSRF_TRUSTED_ORIGINS": "",
        "CORS_ALLOWED_ORIGINS": "",
        "WEBHOOK_ALLOWED_HOSTS": "",
    }
    return shell | defaults | usual | {name: str(value) for name, value in variables.items()}
