"""Management commands: effects, output and exit status."""

import shutil
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from predictions.lifecycle import registry
from predictions.management.commands.draw_states import diagram
from predictions.management.commands.write_docs import PAGES
from predictions.models import ModelVersion, Prediction, RegisteredModel, State
from predictions.models.states import TRANSITIONS
from tests.integration.conftest import make
from tests.support.commands import run
from tests.support.loading import make_outdated
from tests.support.versions import add_version, rewrite

# These tests train a model, which takes long, so they do not run in one transaction.
LONG = pytest.mark.django_db(transaction=True)


def champion(name: str = "iris") -> int | None:
    model = RegisteredModel.objects.select_related("champion").get(name=name)
    return model.champion and model.champion.number


@pytest.fixture
def two_versions(registered: dict[str, RegisteredModel], models_dir: Path, trained_models: Path) -> Iterator[Path]:
    """iris has a champion and a newer version."""
    add_version(models_dir)
    assert registry.sync(models_dir) == []
    try:
        yield models_dir
    finally:
        shutil.rmtree(models_dir / "iris")
        shutil.copytree(trained_models / "iris", models_dir / "iris")


# --- promote, rollback, check_models --------------------------------------------------------------------------------
@pytest.mark.usefixtures("two_versions")
def test_promote_and_rollback_change_the_champion() -> None:
    assert run("promote", "iris", 2) == "iris v2 serves.\n"
    assert champion() == 2
    assert run("rollback", "iris") == "iris v1 serves.\n"
    assert champion() == 1
    assert run("rollback", "iris") == "iris v2 serves.\n"


def test_promote_of_a_damaged_version_fails(two_versions: Path) -> None:
    estimator = two_versions / "iris/versions/2/estimator.joblib"
    content = estimator.read_bytes()
    estimator.unlink()
    estimator.write_bytes(content + b"\0")

    with pytest.raises(CommandError, match=r"^iris v2 does not serve: The artefact has SHA-256 .* damaged"):
        run("promote", "iris", 2)
    assert champion() == 1


@pytest.mark.parametrize(("name", "version"), [("iris", 9), ("nothing", 1)])
def test_promote_of_an_unknown_version_fails(iris: ModelVersion, name: str, version: int) -> None:
    with pytest.raises(CommandError, match=f"^{name} has no version {version}; sync_models reads new folders$"):
        run("promote", name, version)


@pytest.mark.parametrize("name", ["iris", "nothing"])
def test_rollback_without_an_earlier_version_fails(iris: ModelVersion, name: str) -> None:
    with pytest.raises(CommandError, match=f"^{name} has no version that served before$"):
        run("rollback", name)


def test_check_models_lists_versions_that_serve(iris: ModelVersion) -> None:
    assert run("check_models") == "breast-cancer v1: serves\ndiabetes v1: serves\niris v1: serves\nwine v1: serves\n"


def test_check_models_with_a_broken_version_exits_with_1(iris: ModelVersion) -> None:
    ModelVersion.objects.filter(pk=iris.pk).update(sha256="0" * 64)
    out = StringIO()

    with pytest.raises(SystemExit) as ended:
        call_command("check_models", stdout=out, no_color=True)

    assert ended.value.code == 1
    assert [line.partition(": ")[0] for line in out.getvalue().splitlines()] == [
        "breast-cancer v1",
        "diabetes v1",
        "iris v1",
        "wine v1",
    ]
    assert "iris v1: version.json of iris version 1 names SHA-256" in out.getvalue()


# --- sync_models, train, prepare ------------------------------------------------------------------------------------
@pytest.fixture
def own_models(db: None, trained_models: Path, tmp_path: Path, settings: Any) -> Path:
    settings.MODELS_DIR = tmp_path / "models"
    shutil.copytree(trained_models / "iris", tmp_path / "models/iris")
    return tmp_path / "models"


def test_sync_models_of_valid_folders_prints_nothing(own_models: Path) -> None:
    assert run("sync_models") == ""
    assert champion() == 1


def test_sync_models_of_an_invalid_folder_names_it_and_exits_with_1(own_models: Path) -> None:
    rewrite(own_models, 'task = "classification"', 'task = "guessing"')
    errors = StringIO()

    with pytest.raises(SystemExit) as ended:
        call_command("sync_models", stderr=errors, no_color=True)

    assert ended.value.code == 1
    assert errors.getvalue().startswith(f"{own_models / 'iris/model.toml'}: task: Input should be")


@LONG
def test_train_creates_a_version_without_promotion(own_models: Path) -> None:
    run("sync_models")

    output = run("train", "iris")

    assert output.startswith("Training iris… version 2: accuracy ")
    assert output.endswith("It serves after: manage.py promote iris 2\n")
    assert champion() == 1
    assert ModelVersion.objects.count() == 2


def test_train_of_a_first_version_says_that_it_serves(own_models: Path) -> None:
    shutil.rmtree(own_models / "iris/versions")

    assert run("train", "iris").endswith("It serves now: /models/iris/\n")
    assert champion() == 1


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(28, "No space left on device"), "iris cannot be stored: .*No space left on device"),
        (MemoryError(), "iris needs more memory than there is here"),
        (ZeroDivisionError("by zero"), "Foretell does not know why: ZeroDivisionError: by zero"),
    ],
)
def test_train_shows_a_sentence_and_no_traceback(
    own_models: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, sentence: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("predictions.serving.training.register.train_and_register", fail)
    with pytest.raises(CommandError, match=sentence):
        run("train", "iris")


def test_train_of_a_model_that_is_not_there_says_so(own_models: Path) -> None:
    with pytest.raises(CommandError, match=r"^no model is called 'nothing'$"):
        run("train", "nothing")


def test_train_without_a_train_file_fails(own_models: Path) -> None:
    (own_models / "iris/train.py").unlink()

    with pytest.raises(CommandError, match=r"/iris/train\.py is missing: write one"):
        run("train", "iris")


@LONG
def test_prepare_trains_missing_versions_and_creates_an_analyst_once(own_models: Path) -> None:
    shutil.rmtree(own_models / "iris/versions")

    first, second = run("prepare"), run("prepare")

    trained, sign_in = first.replace("…\n", "…").splitlines()
    assert trained.startswith("Training iris… version 1: accuracy ")
    assert sign_in.startswith("The board for analysts is at /monitor/. Sign in as analyst with the password ")
    assert User.objects.get(username="analyst").check_password(sign_in.rsplit(" ", 1)[1])
    assert second == ""
    assert champion() == 1


def test_prepare_names_a_model_that_cannot_be_trained_and_goes_on(own_models: Path) -> None:
    for name, train in (("a-bad", "raise ZeroDivisionError"), ("b-bad", "raise SystemExit(3)")):
        shutil.copytree(own_models / "iris", own_models / name, ignore=shutil.ignore_patterns("versions"))
        (own_models / name / "train.py").write_text(train)
    shutil.copytree(own_models / "iris", own_models / "c-bad")
    (own_models / "c-bad/model.toml").write_text("not toml")
    errors = StringIO()

    call_command("prepare", stdout=StringIO(), stderr=errors, no_color=True)

    assert "Model a-bad is left out: " in errors.getvalue()
    assert "Model b-bad is left out: " in errors.getvalue()
    assert "c-bad/model.toml" in errors.getvalue()
    assert champion() == 1


def test_train_is_not_stopped_by_another_broken_model(own_models: Path) -> None:
    shutil.copytree(own_models / "iris", own_models / "bad")
    (own_models / "bad/model.toml").write_text("not toml")
    errors = StringIO()

    call_command("train", "iris", stdout=StringIO(), stderr=errors, no_color=True)

    assert errors.getvalue().startswith("Another model is left out: ")
    assert ModelVersion.objects.filter(registered_model__name="iris").count() == 2


@LONG
def test_prepare_trains_anew_what_an_earlier_release_made(own_models: Path) -> None:
    run("sync_models")
    make_outdated(own_models / "iris/versions/1/version.json")
    ModelVersion.objects.update(manifest={"signature": [], "metrics": {}, "profile": {}})

    assert run("prepare").replace("…\n", "…").startswith("Training iris… version 2: accuracy ")
    assert champion() == 2
    assert "Training" not in run("prepare")


def test_prepare_outside_development_makes_nobody(own_models: Path, settings: Any) -> None:
    settings.DEVELOPMENT = False

    run("prepare")

    assert not User.objects.exists()


# --- keeper, draw_states, write_docs --------------------------------------------------------------------------------
def test_keeper_once_runs_one_sweep(iris: ModelVersion, clean_redis: object) -> None:
    make(iris, deadline_at=iris.created_at)

    assert run("keeper", "--once") == "1 expired\n"
    assert run("keeper", "--once") == "nothing to do\n"
    assert Prediction.objects.get().state == State.EXPIRED


def test_draw_states_draws_each_transition_once() -> None:
    page = diagram()

    assert run("draw_states") == page
    arrows = [line.strip() for line in page.splitlines() if "-->" in line]
    assert sorted(arrows) == sorted(
        ["[*] --> queued"]
        + [f"{old.value} --> {new.value}" for old, following in TRANSITIONS.items() for new in following]
        + [f"{state.value} --> [*]" for state, following in TRANSITIONS.items() if not following]
    )


def test_write_docs_writes_stale_pages_only(tmp_path: Path, settings: Any) -> None:
    settings.BASE_DIR = tmp_path

    with pytest.raises(CommandError, match=r"^not up to date: .*; run make docs$"):
        run("write_docs", "--check")
    assert list(tmp_path.iterdir()) == []

    assert run("write_docs").splitlines() == [f"wrote {path}" for path in PAGES]
    assert run("write_docs", "--check") == ""
    assert run("write_docs") == ""
