"""The tutorial "your own model", word for word: its files, its commands, its requests."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from project.env import BASE_DIR
from tests.support.product import free_port
from tests.support.waiting import wait_until

TUTORIAL = (BASE_DIR / "docs/tutorials/your-own-model.md").read_text()
SCRIPT = re.findall(r"^```python\n(.*?)^```", TUTORIAL, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^```sh\n(.*?)^```", TUTORIAL, re.MULTILINE | re.DOTALL)
SECONDS = 240


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The checkout, with an environment that is installed already and nothing that earlier work left."""
    home = tmp_path / "clone"
    home.mkdir()
    for path in BASE_DIR.iterdir():
        if path.name not in (".venv", ".env", "var", "ml_models", ".git"):
            (home / path.name).symlink_to(path)
    (home / ".venv").mkdir()
    for path in Path(sys.prefix).iterdir():
        (home / ".venv" / path.name).symlink_to(path) if path.name not in (".run", ".dev", ".bench") else None
    (home / ".venv/.run").touch()
    (home / "ml_models").mkdir()
    return home


@pytest.fixture
def environment(clone: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("DJANGO_SETTINGS_MODULE", "REDIS_URL")}
    return kept | {"VAR_DIR": str(clone / "var"), "MODELS_DIR": str(clone / "ml_models"), "PORT": str(free_port())}


@pytest.fixture
def serving(clone: Path, environment: dict[str, str]) -> Iterator[Path]:
    """Steps 1 and 2: the output of `make serve`, which has printed the address of the form."""
    (clone / "fit.py").write_text(SCRIPT[0])
    run(clone, environment, COMMANDS[1])
    output = clone / "serve.out"
    with output.open("wb") as written:
        process = subprocess.Popen(
            shlex.split(COMMANDS[2]), cwd=clone, env=environment, stdout=written, stderr=written, start_new_session=True
        )
    try:
        address = f"http://127.0.0.1:{environment['PORT']}/models/churn/"
        wait_until(lambda: process.poll() is not None or last_line(output) == address, SECONDS, "the form answers")
        assert last_line(output) == address, output.read_text()
        yield output
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def run(clone: Path, environment: dict[str, str], command: str) -> str:
    done = subprocess.run(shlex.split(command), cwd=clone, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def last_line(output: Path) -> str:
    return (output.read_text().splitlines() or [""])[-1]


def request(command: str, port: str) -> Any:
    words = shlex.split(command.replace("\\\n", " ").replace(":8000", f":{port}"))
    pairs = list(zip(words[2::2], words[3::2], strict=True))
    headers = dict(value.split(": ", 1) for option, value in pairs if option == "-H")
    (body,) = (value for option, value in pairs if option == "-d")
    return httpx.post(words[1], content=body, headers={**headers, "Prefer": "wait=20"}, timeout=60.0).json()


def test_tutorial_leads_from_a_file_to_a_second_version(
    serving: Path, clone: Path, environment: dict[str, str]
) -> None:
    _, _, _, curl, sync, register, promote = COMMANDS
    said = serving.read_text()
    assert re.search(r"monthly charges +number, optional .*\n +months +integer, optional .*\n +contract +choice ", said)
    assert "churn version 1: accuracy" in said

    answer = request(curl, environment["PORT"])
    assert (answer["status"], answer["version"], answer["output"]["label"]) == ("succeeded", 1, "yes")
    assert answer["output"]["grade"] is not None

    toml = clone / "ml_models/churn/model.toml"
    assert 'label = "Months"' in toml.read_text()
    toml.write_text(toml.read_text().replace('label = "Months"', 'label = "Months as a customer"'))
    run(clone, environment, sync)
    assert "It serves after: manage.py promote churn 2" in run(clone, environment, register)
    assert run(clone, environment, promote) == "churn v2 serves.\n"
    wait_until(lambda: request(curl, environment["PORT"])["version"] == 2, 30, "the second version serves")
    assert "*To be written by a person:*" in (clone / "ml_models/churn/CARD.md").read_text()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("", "make serve needs the file of a fitted estimator: make serve MODEL=churn.joblib"),
        ("MODEL=nowhere.joblib", "nowhere.joblib is not there: check the path."),
        ("MODEL=fit.py DATA=nowhere.csv", "nowhere.csv is not there: check the path."),
        ("MODEL=fit.py", "fit.py: a file of this kind is not read."),
    ],
)
def test_wrong_input_stops_with_one_sentence(
    clone: Path, environment: dict[str, str], words: str, sentence: str
) -> None:
    (clone / "fit.py").write_text("")
    done = subprocess.run(
        ["make", "serve", *words.split()], cwd=clone, env=environment, capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert sentence in said
    assert "Traceback" not in said
    shutil.rmtree(clone / "var", ignore_errors=True)
