"""The settings with PRODUCTION and HTTPS, in a separate process."""

import json
import subprocess
import sys

import pytest

from project.env import BASE_DIR, Env, unsafe

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


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SECRET_KEY", "a" * 50),
        ("SECRET_KEY", "django-insecure-" + SAFE["SECRET_KEY"]),
        ("ALLOWED_HOSTS", ".example.org"),
        ("CSRF_TRUSTED_ORIGINS", "https://*.example.org"),
        ("CSRF_TRUSTED_ORIGINS", "http://example.org"),
        ("METRICS_TOKEN", "a" * 16),
        ("REDIS_URL", "rediss://:pass@cache.example.org/0?ssl_cert_reqs=CERT_NONE"),
        ("REDIS_URL", "rediss://:pass@cache.example.org/0?ssl_cert_reqs=optional"),
        ("BROKER_URL", "redis://queue.example.org/0"),
        ("BROKER_URL", "amqp://guest:guest@queue.example.org//"),
        ("BROKER_URL", "amqps://me:pass@queue.example.org//?ssl_cert_reqs=none"),
        ("DATABASE_URL", "postgres://me:pass@db.example.org/name?sslmode=prefer"),
    ],
)
def test_unsafe_value_is_refused_in_production(variable: str, value: str) -> None:
    safe = {name.lower(): setting for name, setting in SAFE.items()}

    (problem,) = unsafe(Env.model_validate({**safe, variable.lower(): value}))

    assert problem.startswith(f"{variable}: ")


def test_reachable_address_is_refused_without_https() -> None:
    safe = {name.lower(): setting for name, setting in SAFE.items()}

    (problem,) = unsafe(Env.model_validate({**safe, "host": "0.0.0.0", "https": "false"}))

    assert problem.startswith("HOST: ")
