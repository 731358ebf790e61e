"""What all tests share: a Redis of their own, the registered models, and a process without memories."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
from django.conf import settings
from django.db import connection
from pytest_django import DjangoDbBlocker

from predictions import context
from predictions.lifecycle import registry
from predictions.models import RegisteredModel
from predictions.observability import health
from predictions.queue import redis_client
from project.dev_redis import server_binary
from project.env import BASE_DIR
from tests.support.cases import register_all
from tests.support.fuzzing import summary
from tests.support.waiting import wait_until

MODELS = BASE_DIR / "ml_models"


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
    """The connection of the product to a Redis that holds nothing."""
    redis_client.client().flushall()
    return redis_client.client()


# --- Registered models ----------------------------------------------------------------------------------------------
def _fingerprint() -> str:
    """What the trained versions depend on: the models' sources, the code that makes versions, and the libraries."""
    sources = [path for path in MODELS.glob("*/*") if path.is_file()]
    sources += [*(BASE_DIR / "predictions/serving").rglob("*.py"), BASE_DIR / "requirements/run.txt"]
    digest = hashlib.sha256()
    for path in sorted(sources):
        digest.update(str(path.relative_to(BASE_DIR)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


@pytest.fixture(scope="session")
def registered_cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models of tests/cases, each with one version that another process made."""
    root = tmp_path_factory.mktemp("cases") / "models"
    register_all(root)
    return root


@pytest.fixture(scope="session")
def trained_models(request: pytest.FixtureRequest) -> Path:
    """The demo models, one version each, trained once for these sources and kept between runs. Only to copy from."""
    from predictions.serving.training.register import train_and_register

    assert request.config.cache
    kept = request.config.cache.mkdir("foretell-models")
    found = kept / _fingerprint()
    if not found.is_dir():
        incoming = Path(tempfile.mkdtemp(prefix="incoming-", dir=kept)) / "models"
        shutil.copytree(MODELS, incoming, ignore=shutil.ignore_patterns("versions", "__pycache__"))
        for description in sorted(incoming.glob("*/model.toml")):
            train_and_register(incoming, description.parent.name)
        if not found.is_dir():  # another run may have been quicker
            incoming.rename(found)
        shutil.rmtree(incoming.parent)
    return found


@pytest.fixture(scope="session")
def models_dir(trained_models: Path) -> Path:
    """settings.MODELS_DIR, with the demo models, one version each."""
    root: Path = settings.MODELS_DIR
    shutil.copytree(trained_models, root, dirs_exist_ok=True)
    return root


@pytest.fixture
def registered(db: None, models_dir: Path) -> dict[str, RegisteredModel]:
    """The demo models by name, registered and serving."""
    assert registry.sync(models_dir) == []
    return {model.name: model for model in RegisteredModel.objects.listed()}


# --- A process without memories -------------------------------------------------------------------------------------
@pytest.fixture(autouse=True)
def _fresh_process() -> Iterator[None]:
    """What the product keeps in memory between requests belongs to the database of one test."""
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
        preload.loader.release()
