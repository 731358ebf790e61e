"""Fixtures of the integration tests: a model with every kind of feature, rows in any state, and counted statements."""

import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from predictions.lifecycle import registry
from predictions.models import Lane, ModelVersion, Prediction, RegisteredModel, Source, State
from predictions.use_cases import admission
from tests.support.door import close_all
from tests.support.inline import run_inline
from tests.support.query_plans import add_history
from tests.support.site_client import Client
from tests.support.versions import add_version

KINDS = """
title = "Fruit <b>sizes</b>"
summary = "Adds two numbers & forgets the rest."
task = "regression"
groups = ["Size", "Looks"]

[target]
name = "size"
unit = "mm"

[[features]]
kind = "number"
name = "long side"
label = "Long side"
unit = "mm"
group = "Size"
minimum = 0
maximum = 400

[[features]]
kind = "integer"
name = "count"
group = "Size"
minimum = 0
maximum = 10
default = 3

[[features]]
kind = "choice"
name = "colour"
label = "Colour <script>alert(1)</script>"
choices = [["r", "Red <i>"], ["g", "Green"]]
group = "Looks"

[[features]]
kind = "boolean"
name = "ripe"
group = "Looks"

[[features]]
kind = "text"
name = "note"
required = false
max_length = 50

[[features]]
kind = "number"
name = "a/b~c"
required = false
maximum = 1

[[examples]]
title = "Small & green"
values = { "long side" = 40.5, "count" = 2, "colour" = "g", "ripe" = true, "note" = "it's \\"fine\\" <b>" }
"""
IRIS = [5.1, 3.5, 1.4, 0.2]


@pytest.fixture(autouse=True)
def _no_earlier_counts() -> None:
    admission.reset()


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture(scope="session", autouse=True)
def _connections_of_threads() -> Iterator[None]:
    """Close the connections of all threads at the end: PostgreSQL drops no database that has connections."""
    kept: list[BaseDatabaseWrapper] = []

    def keep(connection: BaseDatabaseWrapper, **_: Any) -> None:
        if threading.current_thread() is not threading.main_thread():
            kept.append(connection)

    connection_created.connect(keep)
    yield
    connection_created.disconnect(keep)
    close_all(kept)


@pytest.fixture(autouse=True)
def _one_transaction(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the test's own thread sees the rows of a test that is one transaction, so batches run in that thread."""
    marker = request.node.get_closest_marker("django_db")
    is_committing = "transactional_db" in request.fixturenames or (marker and marker.kwargs.get("transaction"))
    if not is_committing:
        run_inline(monkeypatch)


# --- Models -----------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="session")
def trained_kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model with every kind of feature, with one version."""
    import numpy as np

    from predictions.serving.artifacts.repository import describe
    from predictions.serving.registration import Split
    from predictions.serving.training.register import register
    from tests.support.estimators import Sizes

    root = tmp_path_factory.mktemp("kinds")
    (root / "kinds").mkdir()
    (root / "kinds/model.toml").write_text(KINDS)
    (root / "kinds/CARD.md").write_text("# About\n\n<script>alert(1)</script>\n")
    rows = [[float(n), n % 3, "r", n % 2 == 0, None if n % 2 else "x", None] for n in range(20, 40)]
    data = Split(np.array(rows, dtype=object), np.arange(20.0))
    register(root, describe(root, "kinds"), Sizes().fit(data.x, data.y), data, data)
    return root / "kinds"


@pytest.fixture
def kinds(registered: dict[str, RegisteredModel], models_dir: Path, trained_kinds: Path) -> Iterator[RegisteredModel]:
    """That model, registered and serving beside the others."""
    shutil.copytree(trained_kinds, models_dir / "kinds")
    try:
        assert registry.sync(models_dir) == []
        yield registry.find("kinds")
    finally:
        shutil.rmtree(models_dir / "kinds")


@pytest.fixture
def iris(registered: dict[str, RegisteredModel]) -> ModelVersion:
    """The version of iris that serves."""
    version = registered["iris"].champion
    assert version
    return version


@pytest.fixture
def crowd(iris: ModelVersion) -> ModelVersion:
    """A version with a long history, and a few rows that wait or run."""
    add_history(iris)
    return iris


# --- Rows -------------------------------------------------------------------------------------------------------------
def make(version: ModelVersion, state: State = State.QUEUED, *, age: float = 0.0, **fields: Any) -> Prediction:
    """Store a row in any state, `age` seconds old. Only tests write a state without a transition."""
    created = timezone.now() - timedelta(seconds=age)
    row: dict[str, Any] = {
        "caller": "visitor:somebody",
        "source": Source.FORM,
        "lane": Lane.INTERACTIVE,
        "values": IRIS,
        "created_at": created,
        "deadline_at": created + timedelta(seconds=300),
        **_of_state(state, created),
    }
    return Prediction.objects.create(version=version, state=state, **{**row, **fields})


def _of_state(state: State, created: datetime) -> dict[str, Any]:
    if state == State.QUEUED:
        return {}
    running = {"attempts": 1, "claim": uuid.uuid4(), "started_at": created}
    if state == State.RUNNING:
        return {**running, "claimed_until": created + timedelta(seconds=60)}
    ended = {**running, "finished_at": created + timedelta(seconds=1)}
    if state == State.SUCCEEDED:
        return {**ended, "output": SETOSA, "predict_ms": 2.5}
    return {**ended, "error_code": {State.FAILED: "model_error", State.EXPIRED: "timeout"}.get(state, "")}


SETOSA = {
    "kind": "classification",
    "label": "setosa",
    "probabilities": {"setosa": 0.9, "versicolor": 0.07, "virginica": 0.03},
    "prediction_set": ["setosa"],
    "coverage": 0.9,
}


def run_worker(version: ModelVersion, lane: str = Lane.INTERACTIVE) -> None:
    """Drain the lane in this process, until nothing of the version is queued."""
    import time

    from predictions.worker import drain

    assert drain.serve(lane, time.monotonic() + 60)
    assert not Prediction.objects.queued().filter(version=version, lane=lane).exists()


# --- People -----------------------------------------------------------------------------------------------------------
@pytest.fixture
def owner(db: None) -> User:
    return User.objects.create_user("owner", password="secret-of-owner")


@pytest.fixture
def stranger(db: None) -> User:
    return User.objects.create_user("stranger", password="secret-of-stranger")


@pytest.fixture
def analyst(db: None) -> User:
    user = User.objects.create_user("analyst", password="secret-of-analyst")
    user.user_permissions.add(Permission.objects.get(codename="view_monitor"))
    return user


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


# --- Statements and threads -------------------------------------------------------------------------------------------
CONTROL = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "SET ")


@contextmanager
def statements() -> Iterator[list[str]]:
    """The statements of a block, without those that control transactions."""
    found: list[str] = []
    with CaptureQueriesContext(connection) as captured:
        yield found
    found += [q["sql"] for q in captured.captured_queries if not q["sql"].lstrip().upper().startswith(CONTROL)]


def together(count: int, action: Callable[[int], Any]) -> list[Any]:
    """Run `action(n)` in `count` threads that begin at the same time. Returns the results; an error is a result too."""
    results: list[Any] = [None] * count
    barrier = threading.Barrier(count)

    def run(number: int) -> None:
        try:
            barrier.wait()
            results[number] = action(number)
        except Exception as error:  # noqa: BLE001 - for the test to judge
            results[number] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.fixture
def second(
    registered: dict[str, RegisteredModel], models_dir: Path, trained_models: Path
) -> Iterator[tuple[ModelVersion, ModelVersion]]:
    """Version 1 of iris, which serves, and version 2, which answers the same."""
    add_version(models_dir)
    assert registry.sync(models_dir) == []
    first, other = ModelVersion.objects.filter(registered_model__name="iris").order_by("number")
    try:
        yield first, other
    finally:
        shutil.rmtree(models_dir / "iris")
        shutil.copytree(trained_models / "iris", models_dir / "iris")
