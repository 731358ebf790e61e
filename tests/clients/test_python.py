"""Clients in Python. Their packages conflict with ours or with each other, so each has its own environment."""

import json
import shutil
from pathlib import Path
from typing import Any

from tests.support.environments import python_with, run
from tests.support.needs import need

PROGRAMS = Path(__file__).parent / "programs"
COLUMNS = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
SETOSA, VIRGINICA = [5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]
# The output of a client of the JSON API: the models, an answer, the same answer read again, and a refusal.
GOT = {
    "models": ["breast-cancer", "diabetes", "iris", "wine"],
    "label": "setosa",
    "read": "setosa",
    "typed": True,
    "refused": "invalid_input",
}


def said(python: Path, program: str, *arguments: object) -> Any:
    """The last line that the program printed, as JSON. The program's libraries may print other lines before it."""
    return json.loads(run([python, PROGRAMS / program, *arguments]).splitlines()[-1])


def test_client_of_kserve(url: str) -> None:
    python = python_with("kserve==0.21.0")

    assert said(python, "kserve_program.py", url, json.dumps([SETOSA, VIRGINICA])) == {
        "live": True,
        "ready": True,
        "model ready": True,
        "labels": [["setosa"], ["virginica"]],
    }


def test_codecs_of_mlserver(url: str) -> None:
    python = python_with("mlserver==1.7.1")

    got = said(python, "mlserver_program.py", url, json.dumps([SETOSA, VIRGINICA]), json.dumps(COLUMNS))

    assert got == {"tensor": ["setosa", "virginica"], "table": ["setosa", "virginica"]}


def test_client_of_openapi_python_client(url: str, schema: Path, tmp_path: Path) -> None:
    python = python_with("openapi-python-client==0.29.1")
    generate = [python.with_name("openapi-python-client"), "generate", "--meta", "none", "--path", schema]

    output = run([*generate, "--output-path", tmp_path / "foretell_generated"])

    assert "warning" not in output.lower()
    assert said(python, "openapi_python_client_program.py", url, tmp_path, json.dumps(SETOSA)) == GOT


def test_client_of_openapi_generator(url: str, schema: Path, tmp_path: Path) -> None:
    need(shutil.which("java"), "java is missing: OpenAPI Generator runs on it")
    python = python_with(
        "openapi-generator-cli==7.26.0", "urllib3>=2.7", "python-dateutil>=2.8.2", "pydantic>=2.11"
    )  # fmt: skip
    generate = [python.with_name("openapi-generator-cli"), "generate", "-g", "python", "-i", schema]

    run([*generate, "-o", tmp_path, "--package-name", "foretell_generated"])

    assert said(python, "openapi_generator_program.py", url, tmp_path, json.dumps(SETOSA)) == GOT
