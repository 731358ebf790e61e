"""Fixtures of all tests: a Redis server of their own, the registered models, and caches that each test finds empty."""

import gc
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import hypothesis
import pytest
import redis
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Model
from pytest_django import DjangoDbBlocker

from predictions import context
from predictions.lifecycle import registry
from predictions.models import Alias, LifecycleEvent, ModelVersion, RegisteredModel
from predictions.observability import health
from predictions.queue import redis_client
from predictions.serving.engines.loader import Loader
from project.dev_redis import server_binary
from project.env import BASE_DIR
from tests.support.cases import CASES, train_elsewhere
from tests.support.fuzzing import summary
from tests.support.restoring import PROBE
from tests.support.trained import train_all, trained_once
from tests.support.waiting import wait_until

MODELS = BASE_DIR / "ml_models"


def pytest_configure() -> None:
    """Give no example of a property test a time limit: on a busy machine, Hypothesis's 0.2 s would fail right code."""
    hypothesis.settings.register_profile("untimed", deadline=None)
    hypothesis.settings.load_profile("untimed")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in summary():
        terminalreporter.write_line(line)


# --- The database ---------------------------------------------------------------------------------------------------
@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The test database. PostgreSQL drops it only when the connections of background threads are closed."""
    yield
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


# --- Redis ----------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """A real Redis for this test process, at settings.REDIS_URL."""
    socket = Path(urlsplit(settings.REDIS_URL).path)
    options = {"port": "0", "unixsocket": str(socket), "dir": str(socket.parent), "save": "", "appendonly": "no"}
    command = [server_binary(), *(part for key, value in options.items() for part in (f"--{key}", value))]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            wait_until(redis_client.is_reachable, 10, "Redis answers")
            redis_client.breaker.reset()
            yield settings.REDIS_URL
        finally:
            process.kill()  # first, since a connection must not be closed while another thread reads from it
            process.wait()
            redis_client.client().close()


@pytest.fixture
def clean_redis(redis_server: str) -> redis.Redis:
    """The product's client of a Redis without any keys."""
    redis_client.client().flushall()
    return redis_client.client()


# --- Registered models ----------------------------------------------------------------------------------------------
@pytest.fixture(scope="session")
def kept_folder(request: pytest.FixtureRequest) -> Path:
    """A folder for trained versions that later runs use again."""
    assert request.config.cache
    return request.config.cache.mkdir("foretell-models")


@pytest.fixture(scope="session")
def registered_cases(kept_folder: Path) -> Path:
    """The models of tests/cases, each with one version that another process trained. Tests only read or copy them."""
    return trained_once(kept_folder, CASES, train_elsewhere)


@pytest.fixture(scope="session")
def trained_models(kept_folder: Path) -> Path:
    """The demo models, one version each. Only to copy from."""
    return trained_once(kept_folder, MODELS, train_all)


@pytest.fixture(scope="session")
def trained_probe(kept_folder: Path) -> Path:
    """The folder of the probe model, with one version. Only to copy from."""
    return trained_once(kept_folder, PROBE.parent, train_all) / PROBE.name


@pytest.fixture(scope="session")
def models_dir(trained_models: Path) -> Path:
    """settings.MODELS_DIR, with the demo models, one version each."""
    root: Path = settings.MODELS_DIR
    shutil.copytree(trained_models, root, dirs_exist_ok=True)
    return root


@dataclass
class Registration:
    """The rows that the registry wrote for the demo models, table by table, and the version folders that it read."""

    rows: list[list[Model]] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)


@pytest.fixture(scope="session")
def first_registration() -> Registration:
    """Filled by the first test that needs the demo models."""
    return Registration()


@pytest.fixture
def registered(db: None, models_dir: Path, first_registration: Registration) -> dict[str, RegisteredModel]:
    """The demo models by name, registered and serving. Their files are read once; later tests get the same rows."""
    folders = sorted(models_dir.glob("*/versions/*"))
    if first_registration.rows:
        assert folders == first_registration.folders, "an earlier test left other versions behind"
        with transaction.atomic():  # two tables refer to each other
            for rows in first_registration.rows:
                type(rows[0])._default_manager.bulk_create(rows)
    else:
        assert registry.sync(models_dir) == []
        first_registration.folders = folders
        first_registration.rows = [list(table.objects.all()) for table in (RegisteredModel, ModelVersion)]
        assert not LifecycleEvent.objects.exists()
        assert not Alias.objects.exists()
    return {model.name: model for model in RegisteredModel.objects.listed()}


# --- Caches ---------------------------------------------------------------------------------------------------------
@pytest.fixture(autouse=True)
def _fresh_process() -> Iterator[None]:
    """Clear the caches of the product before and after each test: they hold rows of one test's database."""
    _forget()
    yield
    _forget()


def _forget() -> None:
    registry.clear_cache()
    health.clear_cache()
    context.request_id.set("")
    redis_client.breaker.reset()
    if preload := sys.modules.get("predictions.worker.preload"):
        preload.version_key.cache_clear()
        _release(preload.loader)


def _release(loader: Loader) -> None:
    """Drop the opened versions, which collects garbage.

    The first time, the objects that remain are frozen, so that later collections skip them: most of them belong to
    imported libraries.
    """
    had_versions = loader.size > 0
    loader.release()
    if had_versions and not gc.get_freeze_count():
        gc.freeze()
