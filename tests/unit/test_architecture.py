"""The documents and the code say the same, and a few rules that no linter knows hold everywhere."""

import ast
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
from django.core.management import get_commands

from predictions.serving.schema.errors import ERRORS, ForetellError
from project.env import BASE_DIR, example

PRODUCT = ("project", "predictions", "ml_models")
WORDS = {".py", ".html", ".css", ".js", ".md", ".toml", ".yaml"}
# The only files in which time passes: those that wait for conditions, the estimator that is slow on purpose, and the
# faults, which last for a while.
SLEEPERS = {
    "tests/support/waiting.py", "tests/support/postgres.py", "tests/worker/estimators.py",
    "tests/chaos/load.py", "tests/chaos/proxy.py", "tests/chaos/runner.py", "tests/chaos/scenario.py",
}  # fmt: skip


def files(*folders: str) -> Iterator[Path]:
    """The files with words in them, except what was built or brought here."""
    for path in chain.from_iterable((BASE_DIR / folder).rglob("*") for folder in folders):
        if path.suffix in WORDS and not {"__pycache__", "versions", "vendor"} & set(path.parts):
            yield path


def named(path: Path) -> str:
    return str(path.relative_to(BASE_DIR))


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def text(name: str) -> str:
    return (BASE_DIR / name).read_text()


def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", text("Makefile"), re.MULTILINE))


# --- Documents --------------------------------------------------------------------------------------------------------
def test_env_example_is_the_codes() -> None:
    assert text(".env.example") == example()


def test_every_error_code_is_documented() -> None:
    assert re.findall(r"^\| `(\w+)` \|", text("docs/reference/errors.md"), re.MULTILINE) == list(ERRORS)


def test_every_error_is_in_the_table() -> None:
    """An error that is not there could not be shown to whoever reads the row."""
    assert set(ForetellError.__subclasses__()) == set(ERRORS.values())


def test_procfile_has_five_lines() -> None:
    assert re.findall(r"^(\w+): exec ", text("Procfile"), re.MULTILINE) == ["web", "worker", "bulk", "keeper", "redis"]
    assert len(text("Procfile").splitlines()) == 5


def test_make_knows_the_commands_of_the_readme() -> None:
    mentioned = set(re.findall(r"\bmake ([a-z]+)\b(?=`|  +#)", text("README.md")))
    assert mentioned >= {"run", "test", "check", "bench"}
    assert mentioned - targets() == set()


def test_continuous_integration_runs_the_commands_of_the_readme() -> None:
    assert re.findall(r"^make (\w+)", text(".ci/run"), re.MULTILINE) == ["check", "test"]


def test_manage_knows_the_commands_of_the_documents() -> None:
    documents = [BASE_DIR / "README.md", *files("docs", "ml_models")]
    mentioned = {word for path in documents for word in re.findall(r"manage\.py (\w+)", path.read_text())}
    assert mentioned - set(get_commands()) == set()


@pytest.mark.parametrize("document", [BASE_DIR / "README.md", *files("docs")], ids=named)
def test_links_of_documents_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text())
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (document.parent / link).exists()] == []


def test_decisions_are_numbered_one_by_one() -> None:
    numbers = sorted(int(path.name[:4]) for path in (BASE_DIR / "docs/decisions").glob("*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


# --- Dependencies -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", [f"requirements/{name}.txt" for name in ("base", "telemetry", "dev", "bench")])
def test_requirements_are_pinned_with_hashes_and_bound_to_no_index(name: str) -> None:
    lines = [line.partition("#")[0].strip(" \\") for line in text(name).splitlines()]
    pin = re.compile(r"[a-z0-9._-]+(\[[a-z0-9,._-]+\])?==[^\s;]+( ; .+)?|--hash=sha256:[0-9a-f]{64}", re.IGNORECASE)
    assert [line for line in lines if line and not pin.fullmatch(line)] == []


# --- Code -------------------------------------------------------------------------------------------------------------
def test_nothing_is_left_to_do_in_a_comment() -> None:
    mark = re.compile(r"\b(TODO|FIXME|XXX)\b")
    here = files(*PRODUCT, "templates", "static", "tests", "docs", "benchmarks")
    assert [named(path) for path in here if mark.search(path.read_text()) and path != Path(__file__)] == []


def test_only_the_loader_unpickles() -> None:
    opening = {
        "joblib.load",
        "pickle.load",
        "pickle.loads",
        "cloudpickle.load",
        "numpy.load",
        "np.load",
        "pd.read_pickle",
    }
    found = {
        named(path) for path in files(*PRODUCT) if path.suffix == ".py" for name, _ in calls(path) if name in opening
    }
    assert found == {"predictions/serving/engines/opening.py"}


def test_only_the_record_changes_a_predictions_state() -> None:
    """A change of state elsewhere would be one without the guard of the table of transitions."""
    python = [path for path in files(*PRODUCT) if path.suffix == ".py"]
    unguarded = {
        named(path)
        for path in python
        for name, call in calls(path)
        if name.endswith(".update") and any(keyword.arg == "state" for keyword in call.keywords)
    }
    writing = {named(path) for path in python if re.search(r"SET state|add_update_values", path.read_text())}
    assert unguarded == set()
    assert writing == {"predictions/models/prediction.py"}


def test_pages_load_nothing_from_elsewhere() -> None:
    elsewhere = re.compile(r"""(?:src|href|action)=["'](?:https?:)?//|url\(["']?(?:https?:)?//|@import""")
    assert [named(path) for path in files("templates", "static") if elsewhere.search(path.read_text())] == []


def test_tests_wait_for_conditions() -> None:
    python = (path for path in files("tests") if path.suffix == ".py")
    assert {named(path) for path in python for name, _ in calls(path) if name.endswith("sleep")} == SLEEPERS
