"""`make serve`: starts all processes, registers a fitted estimator, and prints the URL of its form when it answers."""

import argparse
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NoReturn

from project.env import BASE_DIR, read_env
from project.private import make_private
from project.single import AlreadyRunsError, hold

ANSWER_SECONDS = 120.0
POLL_SECONDS = 0.2
LAST_LINES = 15


def main() -> None:
    options = read_options()
    env = read_env()
    if is_taken(env.host, env.port):
        stop(
            f"Port {env.port} is in use. If Foretell runs there, add the model with manage.py register_model; else "
            f"choose another port: make serve … PORT={env.port + 1}"
        )
    make_private(env.var_dir)
    try:
        hold(env.var_dir / "running.lock")
    except AlreadyRunsError as error:
        stop(f"{error} Or add the model to the one that runs: manage.py register_model.")
    manage("prepare", "--no-training")
    log = env.var_dir / "serve.log"
    # The processes start while the estimator is verified: a running Foretell takes a new model without a restart.
    with log.open("wb") as output:
        processes = start(output)
    try:
        register(options)
        print(f"All processes write to {log}", flush=True)
        wait_for(f"http://{env.host}:{env.port}/models/{options['name']}/", processes, log)
        sys.exit(processes.wait())
    finally:
        processes.terminate()
        processes.wait()


def read_options() -> dict[str, str]:
    """The variables of make; those that were not given are empty."""
    parser = argparse.ArgumentParser()
    for name in ("model", "data", "target", "held-out", "code", "name"):
        parser.add_argument(f"--{name}", default="")
    options: dict[str, str] = vars(parser.parse_args())
    options["name"] = options["name"] or name_of(Path(options["model"]))
    return options


def name_of(model: Path) -> str:
    """A model's name from its file: "Churn Model.joblib" is churn-model."""
    return re.sub(r"[^a-z0-9_-]+", "-", model.stem.lower()).strip("-_")[:64] or "model"


def register(options: dict[str, str]) -> None:
    given = [(f"--{name}", options[name.replace("-", "_")]) for name in ("data", "target", "held-out", "code")]
    words = [word for option, value in given if value for word in (option, value)]
    manage("register_model", options["model"], "--name", options["name"], "--serve", *words)


def start(output: BinaryIO) -> "subprocess.Popen[bytes]":
    """Start all processes of the Procfile. Ctrl+C in the terminal reaches them as it reaches this process."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    command = [sys.executable, "-m", "honcho", "start"]
    return subprocess.Popen(command, cwd=BASE_DIR, stdout=output, stderr=output)


def wait_for(address: str, processes: "subprocess.Popen[bytes]", log: Path) -> None:
    """Prints the address once it answers, as the last line."""
    until = time.monotonic() + ANSWER_SECONDS
    while not answers(address):
        if processes.poll() is not None or time.monotonic() > until:
            stop(f"The processes did not start; {log} says why. Its last lines:\n{tail(log)}")
        time.sleep(POLL_SECONDS)
    print(address, flush=True)


def tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:])


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as response:  # noqa: S310 - our own address
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def is_taken(host: str, port: int) -> bool:
    with socket.socket() as tried:
        tried.settimeout(1)
        return tried.connect_ex((host, port)) == 0


def manage(*words: str) -> None:
    # It runs in the folder where make was called, because the paths of the files are relative to that folder.
    done = subprocess.run([sys.executable, str(BASE_DIR / "manage.py"), *words], check=False)
    if done.returncode:
        sys.exit(done.returncode)


def stop(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
