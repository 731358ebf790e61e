"""The settings with PRODUCTION and HTTPS, in a separate process."""

import json
import subprocess
import sys

import pytest

from project.env import BASE_DIR, Env
from project.production import unsafe

SAFE = {
    "PRODUCTION": "true",
    "DEBUG": "false",
    "HTTPS": "true",
    "BEHIND_PROXY": "true",
    "ALLOWED_HOSTS": "example.org",
    "SECRET_KEY": "kR7wq2nX9vB4mZ1tL6yD3hJ8sF5gP0cA-eU_iO2xQ7rW4nT9bVzM1kY6",
    "DATABASE_URL": "postgres://check@localhost/check",
    "REDIS_URL": "rediss://:check@localhost/0",
}
SETTINGS = [
    "SESSION_COOKIE_SECURE",
    "CSRF_COOKIE_SECURE",
    "SESSION_COOKIE_HTTPONLY",
    "SESSION_COOKIE_SAMESITE",
    "SECURE_SSL_REDIRECT",
    "SECURE_HSTS_SECONDS",
    "SECURE_HSTS_INCLUDE_SUBDOMAINS",
    "SECURE_PROXY_SSL_HEADER",
    "SECURE_REFERRER_POLICY",
    "X_FRAME_OPTIONS",
    "SECURE_CONTENT_TYPE_NOSNIFF",
    "DEBUG",
]


@pytest.fixture
def variables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {**SAFE, "VAR_DIR": str(tmp_path_factory.mktemp("var")), "DJANGO_SETTINGS_MODULE": "project.settings"}


def run(variables: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *arguments], cwd=BASE_DIR, env=variables, capture_output=True, text=True, timeout=60
    )


def test_deploy_check_has_no_warnings(variables: dict[str, str]) -> None:
    done = run(variables, "manage.py", "check", "--deploy", "--fail-level", "WARNING")

    assert (done.returncode, done.stdout) == (0, "System check identified no issues (0 silenced).\n"), done.stderr


def test_cookies_and_headers_are_secure(variables: dict[str, str]) -> None:
    code = (
        f"import json; from django.conf import settings; print(json.dumps([getattr(settings, n) for n in {SETTINGS}]))"
    )

    found = dict(zip(SETTINGS, json.loads(run(variables, "-c", code).stdout), strict=True))

    assert found == {
        "SESSION_COOKIE_SECURE": True,
        "CSRF_COOKIE_SECURE": True,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SECURE_SSL_REDIRECT": True,
        "SECURE_HSTS_SECONDS": 31_536_000,
        "SECURE_HSTS_INCLUDE_SUBDOMAINS": True,
        "SECURE_PROXY_SSL_HEADER": ["HTTP_X_FORWARDED_PROTO", "https"],
        "SECURE_REFERRER_POLICY": "same-origin",
        "X_FRAME_OPTIONS": "DENY",
        "SECURE_CONTENT_TYPE_NOSNIFF": True,
        "DEBUG": False,
    }


def test_unsafe_production_does_not_start_and_prints_no_secret(variables: dict[str, str]) -> None:
    done = run({**variables, "REDIS_URL": "redis://cache.example.org/0", "SECRET_KEY": "hunter2"}, "manage.py", "check")

    assert done.returncode == 2
    assert "SECRET_KEY: must be set" in done.stderr
    assert "REDIS_URL: a Redis on another machine needs a password" in done.stderr
    assert "hunter2" not in done.stderr
    assert "Traceback" not in done.stderr


def problems(**changes: str) -> list[str]:
    """The variables that are refused, in the order of the list."""
    safe = {name.lower(): setting for name, setting in SAFE.items()}
    return [problem.partition(":")[0] for problem in unsafe(Env.model_validate({**safe, **changes}))]


KEY = SAFE["SECRET_KEY"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DEBUG", "true"),
        ("SECRET_KEY", ""),
        ("SECRET_KEY", KEY[:49]),
        ("SECRET_KEY", "a" * 50),
        ("SECRET_KEY", "123456789" * 8),
        ("SECRET_KEY", "django-insecure-" + KEY),
        ("ALLOWED_HOSTS", "*"),
        ("ALLOWED_HOSTS", "a.example.org,.example.org"),
        ("ALLOWED_HOSTS", "*.example.org"),
        ("CSRF_TRUSTED_ORIGINS", "https://*.example.org"),
        ("CSRF_TRUSTED_ORIGINS", "https://*"),
        ("CSRF_TRUSTED_ORIGINS", "https://"),
        ("CSRF_TRUSTED_ORIGINS", "http://example.org"),
        ("METRICS_TOKEN", "guess"),
        ("METRICS_TOKEN", "a" * 16),
        ("METRICS_TOKEN", "abcdefg" * 3),
        ("REDIS_URL", "redis://cache.example.org/0"),
        ("REDIS_URL", "redis:///0?host=cache.example.org"),
        ("REDIS_URL", "rediss://:pass@cache.example.org/0?ssl_cert_reqs=none"),
        ("REDIS_URL", "rediss://:pass@cache.example.org/0?ssl_cert_reqs=CERT_NONE"),
        ("REDIS_URL", "rediss://:pass@cache.example.org/0?ssl_cert_reqs=optional"),
        ("REDIS_URL", "rediss://:pass@cache.example.org/0?ssl_cert_reqs=none&ssl_cert_reqs=required"),
        ("REDIS_URL", "rediss://:pass@cache.example.org/0?ssl_check_hostname=false"),
        ("REDIS_URL", "rediss://:pass@cache.example.org/0?ssl_check_hostname=No"),
        ("BROKER_URL", "redis://queue.example.org/0"),
        ("BROKER_URL", "redis://localhost:6380/0"),
        ("BROKER_URL", "amqp://guest:guest@queue.example.org//"),
        ("BROKER_URL", "amqp://guest:guest@localhost//"),
        ("BROKER_URL", "amqp://me:pass@a.example.org//;amqp://b.example.org//"),
        ("BROKER_URL", "amqps://me:pass@queue.example.org//?ssl_cert_reqs=none"),
        ("BROKER_URL", "rediss://:pass@queue.example.org/0?ssl_check_hostname=0"),
        ("DATABASE_URL", "postgres://me:pass@db.example.org/name"),
        ("DATABASE_URL", "postgres://me:pass@db.example.org/name?sslmode=disable"),
        ("DATABASE_URL", "postgres://me:pass@db.example.org/name?sslmode=allow"),
        ("DATABASE_URL", "postgres://me:pass@db.example.org/name?sslmode=prefer"),
        ("DATABASE_URL", "postgres://me:pass@db.example.org/name?sslmode=require&sslmode=disable"),
        ("DATABASE_URL", "postgres://me:pass@localhost,db.example.org/name"),
        ("DATABASE_URL", "postgres://me:pass@localhost:5432,db.example.org:5432/name?sslmode=prefer"),
        ("DATABASE_URL", "postgres://me:pass@/name?host=db.example.org"),
        ("DATABASE_URL", "postgres://me:pass@localhost/name?hostaddr=192.0.2.1"),
    ],
)
def test_unsafe_value_is_refused_in_production(variable: str, value: str) -> None:
    assert problems(**{variable.lower(): value}) == [variable]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "foretell.example.org"])
def test_reachable_address_is_refused_without_https(host: str) -> None:
    assert problems(host=host, https="false") == ["HOST"]
    assert problems(host=host) == []


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HOST", "127.0.0.1"),
        ("METRICS_TOKEN", "0123456789abcdef"),
        ("CSRF_TRUSTED_ORIGINS", "https://example.org,https://www.example.org:8443"),
        ("REDIS_URL", ""),
        ("REDIS_URL", "unix:///run/redis.sock"),
        ("REDIS_URL", "redis://[::1]:6379/0"),
        ("REDIS_URL", "rediss://:pass@cache.example.org/0?ssl_cert_reqs=required&ssl_check_hostname=true"),
        ("BROKER_URL", "amqps://me:pass@queue.example.org//"),
        ("BROKER_URL", "unix:///run/queue.sock"),
        ("DATABASE_URL", ""),
        ("DATABASE_URL", "postgres://me:pass@127.0.0.1:5432/name"),
        ("DATABASE_URL", "postgres://me@%2Frun%2Fpostgresql/name"),
        ("DATABASE_URL", "postgres://me@/name?host=/run/postgresql"),
        ("DATABASE_URL", "postgres://me:pass@db.example.org/name?sslmode=require"),
        ("DATABASE_URL", "postgres://me:pass@a.example.org:5432,b.example.org/name?sslmode=verify-full"),
    ],
)
def test_safe_value_is_accepted_in_production(variable: str, value: str) -> None:
    assert problems(**{variable.lower(): value}) == []


def test_all_unsafe_values_are_in_one_list() -> None:
    found = problems(
        debug="true",
        secret_key="",
        allowed_hosts="*",
        csrf_trusted_origins="https://*",
        metrics_token="guess",
        https="false",
        host="0.0.0.0",
        redis_url="redis://:pass@cache.example.org/0?ssl_check_hostname=0",
        broker_url="redis://queue.example.org/0",
        database_url="postgres://me:pass@db.example.org/name",
    )

    assert sorted(found) == [
        "ALLOWED_HOSTS",
        "BROKER_URL",
        "CSRF_TRUSTED_ORIGINS",
        "DATABASE_URL",
        "DEBUG",
        "HOST",
        "METRICS_TOKEN",
        "REDIS_URL",
        "SECRET_KEY",
    ]
