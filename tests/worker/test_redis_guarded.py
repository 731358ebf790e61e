"""Foretell with a restricted user of a shared Redis, over TLS, as docs/how-to/redis.md describes."""

import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import redis
from celery import Celery
from django.conf import settings
from kombu.exceptions import OperationalError as BrokerError

from project.dev_redis import server_binary
from project.env import BASE_DIR, broker_address
from tests.support.certificate import self_signed
from tests.support.files import GOOD, NAMES, text
from tests.support.stack import Stack
from tests.support.waiting import wait_until

PAGE = BASE_DIR / "docs/how-to/redis.md"
PASSWORD = "a-password-of-tests"


def rules() -> str:
    """The ACL rules of the page, with a password."""
    block = re.search(r"```acl\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert block
    return block.group(1).replace("PASSWORD", PASSWORD)


@contextmanager
def server(folder: Path) -> Iterator[int]:
    """A real Redis with these rules. Yields its port."""
    (folder / "users.acl").write_text(rules() + "user tests on >tests ~* &* +@all\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    options = {"port": str(port), "bind": "127.0.0.1", "dir": str(folder), "save": "", "aclfile": "users.acl"}
    command = [server_binary(), *(part for name, value in options.items() for part in (f"--{name}", value))]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield port
        finally:
            process.kill()


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with server(tmp_path_factory.mktemp("redis")) as port:
        with redis.Redis(port=port, username="tests", password="tests") as admin:
            wait_until(lambda: _is_reachable(admin), 10, "Redis answers")
        yield port


def _is_reachable(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


@pytest.fixture
def admin(port: int) -> Iterator[redis.Redis]:
    with redis.Redis(port=port, username="tests", password="tests", decode_responses=True) as client:
        client.flushall()
        client.acl_log_reset()
        yield client


@pytest.fixture
def user(port: int) -> Iterator[redis.Redis]:
    with redis.Redis(port=port, username="foretell", password=PASSWORD) as client:
        yield client


def denied(admin: redis.Redis) -> set[tuple[str, str]]:
    """The denied commands, keys and channels: reason and name."""
    return {(entry["reason"], entry["object"]) for entry in admin.acl_log()}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def tls_port(port: int, certificate: Path) -> Iterator[int]:
    """The port of a TLS proxy in front of the same server."""
    key = str(certificate.with_name("key.pem"))
    command = [sys.executable, "-m", "tests.support.tls_proxy", str(certificate), key, str(port)]
    with subprocess.Popen(command, cwd=BASE_DIR, stdout=subprocess.PIPE, text=True) as proxy:
        assert proxy.stdout
        try:
            yield int(proxy.stdout.readline())
        finally:
            proxy.kill()


def test_predictions_need_no_other_permission(
    prepare_stack: Callable[..., AbstractContextManager[Stack]], tls_port: int, certificate: Path, admin: redis.Redis
) -> None:
    """The run includes submission, notification, announcement, rate limits and the keeper."""
    url = f"rediss://foretell:{PASSWORD}@localhost:{tls_port}/0?ssl_ca_certs={certificate}"
    with prepare_stack(REDIS_URL=url, SUBMIT_RATE="1000/min") as stack:
        stack.start("redis", "worker", "bulk", "keeper", "web")
        for number in range(3):
            response = stack.post("probe", {"x": number, "seconds": 0}, Prefer="wait=20")
            assert (response.status_code, denied(admin)) == (200, set())
        files = {"file": ("rows.csv", text([GOOD], NAMES), "text/csv")}
        job = stack.client.post("/api/v1/batches/", data={"model": "iris"}, files=files).json()
        wait_until(lambda: stack.client.get(job["urls"]["self"]).json()["status"] == "finished", 60, "a file is scored")
        assert admin.exists("_kombu.binding.bulk")
        assert admin.pubsub_numsub("foretell:settled")[0][1] >= 1
        assert any(str(key).startswith("LIMITS:") for key in admin.scan_iter())
        stack["worker"].terminate()
        stack["bulk"].terminate()
        logs = "".join(stack.log_tails().values())

    assert denied(admin) == set()
    assert PASSWORD not in logs
    assert "insecure" not in logs


def connect_with_redis(url: str) -> None:
    with redis.Redis.from_url(url, socket_timeout=5) as client:
        client.ping()


def connect_with_celery(url: str) -> None:
    with Celery(broker=broker_address(url), set_as_current=False) as app:
        app.conf.broker_transport_options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
        with app.connection_for_write() as connection:
            connection.default_channel.client.ping()


@pytest.mark.parametrize("connect", [connect_with_redis, connect_with_celery])
@pytest.mark.parametrize("case", ["unknown authority", "other name"])
def test_server_with_an_invalid_certificate_is_refused(
    connect: Callable[[str], None], case: str, tls_port: int, certificate: Path
) -> None:
    trusting = f"?ssl_ca_certs={certificate}"
    host = "127.0.0.1" if case == "other name" else "localhost"
    query = "" if case == "unknown authority" else trusting
    connect(f"rediss://foretell:{PASSWORD}@localhost:{tls_port}/0{trusting}")

    with pytest.raises((redis.ConnectionError, BrokerError, OSError)):
        connect(f"rediss://foretell:{PASSWORD}@{host}:{tls_port}/0{query}")


@pytest.mark.parametrize(
    "command",
    [
        ["FLUSHALL"],
        ["CONFIG", "GET", "*"],
        ["KEYS", "*"],
        ["ACL", "LIST"],
        ["SHUTDOWN"],
        ["SAVE"],
        ["MODULE", "LIST"],
        ["REPLICAOF", "localhost", "1"],
        ["GET", "other:key"],
        ["SET", "other:key", "x"],
        ["PUBLISH", "other:key", "x"],
        ["EVAL", "return redis.call('GET', 'other:key')", "0"],
    ],
    ids=" ".join,
)
def test_other_commands_are_denied(user: redis.Redis, admin: redis.Redis, command: list[str]) -> None:
    with pytest.raises((redis.exceptions.NoPermissionError, redis.ResponseError)):
        user.execute_command(*command)

    assert denied(admin) != set()


def test_connection_without_the_password_is_refused(port: int) -> None:
    with redis.Redis(port=port) as anonymous, pytest.raises(redis.AuthenticationError):
        anonymous.ping()
    with (
        redis.Redis(port=port, username="foretell", password="guess") as guess,
        pytest.raises(redis.AuthenticationError),
    ):
        guess.ping()
