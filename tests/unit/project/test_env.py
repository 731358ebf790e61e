"""Environment variables: validation, and its error messages."""

import stat
from pathlib import Path

import pytest

from project.env import Env, broker_address, example, read_env, secret_key


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PORT", "0", "PORT: Input should be greater than or equal to 1"),
        ("PORT", "http", "PORT: Input should be a valid integer, unable to parse string as an integer"),
        ("DEBUG", "perhaps", "DEBUG: Input should be a valid boolean, unable to interpret input"),
        ("LOG_LEVEL", "LOUD", "LOG_LEVEL: Value error, must be DEBUG, INFO, WARNING or ERROR"),
        ("SUBMIT_RATE", "often", "SUBMIT_RATE: Value error, must be like 600/min or 10/s"),
        (
            "ARTEFACT_STORAGE",
            '{"bucket": "models"}',
            'ARTEFACT_STORAGE: Value error, must be like {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": {…}}',
        ),
        (
            "ARTEFACT_STORAGE",
            "s3://models",
            'ARTEFACT_STORAGE: Value error, must be JSON, like {"BACKEND": "storages.backends.s3.S3Storage",'
            ' "OPTIONS": {…}}',
        ),
        ("REDIS_URL", "localhost", "REDIS_URL: Value error, must begin with redis://, rediss:// or unix://"),
        ("REDIS_URL", "redis://[::1/0", "REDIS_URL: Value error, is not an address; write an IPv6 host as [::1]"),
    ],
)
def test_invalid_variable_stops_the_start_and_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SystemExit) as ended:
        read_env()

    assert ended.value.code == 2
    heading, line = capsys.readouterr().err.splitlines()
    assert heading == "Foretell cannot start; set these variables otherwise (.env.example explains them):"
    assert line == f"  {sentence}"


def test_all_invalid_variables_are_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PORT", "0")
    monkeypatch.setenv("TIME_LIMIT", "x")

    with pytest.raises(SystemExit):
        read_env()

    assert [line.split(":")[0].strip() for line in capsys.readouterr().err.splitlines()[1:]] == ["PORT", "TIME_LIMIT"]


def test_variable_that_only_celery_reads_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://elsewhere/0")

    with pytest.raises(SystemExit):
        read_env()

    assert "CELERY_BROKER_URL: Celery would send to another broker" in capsys.readouterr().err
    monkeypatch.setenv("BROKER_URL", "redis://elsewhere/0")  # Celery's command sets the other variable to it
    assert read_env().broker_url == "redis://elsewhere/0"


def test_file_gives_what_the_environment_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=9001\nHOST=::1\nMAX_QUEUED=5\nUNKNOWN=1\n")
    monkeypatch.setattr("project.env.FILE", tmp_path / ".env")
    monkeypatch.setenv("PORT", "9002")
    monkeypatch.setenv("HOST", "")
    monkeypatch.delenv("MAX_QUEUED", raising=False)
    monkeypatch.delenv("MICRO_BATCH", raising=False)

    env = read_env()

    assert (env.port, env.host, env.max_queued, env.micro_batch) == (9002, "::1", 5, 64)


@pytest.mark.parametrize(
    ("text", "rate"),
    [("600/min", "600/minute"), ("10/s", "10/second"), ("5 / h", "5/hour"), ("7/day", "7/day"), ("", "")],
)
def test_rate_is_normalized(text: str, rate: str) -> None:
    assert Env(submit_rate=text).submit_rate == rate


def test_list_is_comma_separated() -> None:
    assert Env(allowed_hosts="a.org, b.org,").allowed_hosts == ["a.org", "b.org"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://:p@h/0", "redis://:p@h/0"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock"),
        ("unix:///run/redis.sock?db=2", "redis+socket:///run/redis.sock?virtual_host=2"),
        ("rediss://u:p@h:6380/0", "rediss://u:p@h:6380/0?ssl_cert_reqs=required"),
        ("rediss://h/0?ssl_ca_certs=/ca.pem", "rediss://h/0?ssl_ca_certs=/ca.pem&ssl_cert_reqs=required"),
        ("rediss://h/0?ssl_cert_reqs=none", "rediss://h/0?ssl_cert_reqs=none"),
        ("amqp://u:p@h//", "amqp://u:p@h//"),
        ("rediss://a/0;rediss://b/0", "rediss://a/0?ssl_cert_reqs=required;rediss://b/0?ssl_cert_reqs=required"),
    ],
)
def test_broker_address_requires_a_valid_certificate(url: str, address: str) -> None:
    assert broker_address(url) == address


def test_secret_key_is_generated_once_and_private(tmp_path: Path) -> None:
    env = Env(var_dir=tmp_path / "var")

    first = secret_key(env)

    assert (len(first) >= 50, secret_key(env)) == (True, first)
    assert stat.S_IMODE((tmp_path / "var/secret_key").stat().st_mode) == 0o600
    assert secret_key(Env(var_dir=tmp_path / "var", secret_key="given")) == "given"


def test_example_has_each_variable_with_its_default() -> None:
    lines = example().splitlines()

    assert sorted(
        line[1:].split("=")[0].lower() for line in lines if line.startswith("#") and line[1] != " "
    ) == sorted(Env.model_fields)
    assert "#ALLOWED_HOSTS=localhost,127.0.0.1,[::1]" in lines
    assert "#PUBLIC_PREDICTIONS=true" in lines


@pytest.mark.parametrize("name", ["SENTRY_DSN", "OTEL_EXPORTER_OTLP_ENDPOINT"])
def test_telemetry_without_its_packages_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.setattr("project.env.find_spec", lambda _: None)
    monkeypatch.setenv(name, "https://somewhere.example")

    with pytest.raises(SystemExit):
        read_env()

    assert f"  {name}: Value error, needs packages that are not installed: make telemetry" in capsys.readouterr().err
