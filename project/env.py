"""The environment, typed: every variable that Foretell reads, its default and its meaning."""

import json
import os
import secrets
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NoReturn
from urllib.parse import urlsplit, urlunsplit

from dotenv import dotenv_values
from pydantic import BaseModel, Field, ValidationError, ValidationInfo, field_validator

from project.production import brokers, unsafe

BASE_DIR = Path(__file__).resolve().parent.parent
# Variables that the process's environment does not set are read from this file.
FILE = BASE_DIR / ".env"


class Env(BaseModel):
    """Every variable by its name in lower case. `read_env` reads them."""

    debug: bool = Field(True, description="Development: the first start makes a demo analyst and prints the sign-in.")
    secret_key: str = Field("", description="Signs sessions and forms. Empty: one is made and kept in var/.")
    allowed_hosts: list[str] = Field(
        ["localhost", "127.0.0.1", "[::1]"], description="Host names that this site answers to, separated by commas."
    )
    csrf_trusted_origins: list[str] = Field(
        [], description="Origins (https://…) that may post forms, when a proxy changes the host; separated by commas."
    )
    cors_allowed_origins: list[str] = Field(
        [],
        description="Sites (https://…) whose scripts may use the API from a browser, or *; separated by commas."
        " Empty: none.",
    )
    force_script_name: str = Field(
        "", description="The path under which a proxy offers this site, for example /foretell. Empty: the root."
    )
    production: bool = Field(
        False, description="Others reach this server: the start refuses what is not safe for that."
    )
    https: bool = Field(False, description="Served over HTTPS only: secure cookies, HSTS, redirects.")
    behind_proxy: bool = Field(False, description="A proxy in front sets X-Forwarded-Proto and X-Forwarded-For.")

    var_dir: Path = Field(BASE_DIR / "var", description="Where the SQLite file, the secret key and Redis's data lie.")
    models_dir: Path = Field(BASE_DIR / "ml_models", description="The folder of registered models.")
    artefact_storage: dict[str, Any] = Field(
        {},
        description="Where machines share versions, as an entry of Django's STORAGES in JSON:"
        ' {"BACKEND": …, "OPTIONS": {…}}. Empty: MODELS_DIR has them.',
    )
    database_url: str = Field("", description="postgres://user:password@host/name. Empty: SQLite in VAR_DIR.")
    redis_url: str = Field("", description="redis:// or rediss://user:password@host/0. Empty: the embedded Redis.")
    broker_url: str = Field("", description="Celery's broker where it is not the Redis above, e.g. amqp://….")

    port: int = Field(8000, ge=1, le=65535, description="Where the web server listens.")
    host: str = Field("127.0.0.1", description="The address that the web server listens on.")
    web_processes: int = Field(2, ge=1, description="Web server processes.")
    web_threads: int = Field(
        48,
        ge=2,
        description="Requests that each web process answers in threads at one time.",
    )
    connections_per_address: int = Field(
        512,
        ge=0,
        description="Connections that one address may have to each web process. 0: any. Off behind a proxy.",
    )
    worker_processes: int = Field(2, ge=1, description="Processes of the worker of the lane `interactive`.")
    bulk_processes: int = Field(1, ge=1, description="Processes of the worker of the lane `bulk`.")
    bulk_idle_seconds: float = Field(
        600.0,
        gt=0,
        description="Seconds without work after which the worker of the lane `bulk` ends, until there is work again.",
    )

    public_predictions: bool = Field(True, description="Whoever has no account may ask too.")
    poll_attempts: int = Field(40, ge=1, description="How often a page asks by itself before it offers a button.")
    wait_max: float = Field(30.0, ge=0, description="Seconds that a request may wait for its result, at most.")
    waiters_max: int = Field(40, ge=0, description="Threads that may wait at one time, in each web process.")

    submit_rate: str = Field("", description="Predictions that one caller may ask for, e.g. 600/min. Empty: any.")
    webhook_allowed_hosts: list[str] = Field(
        [],
        description="Hosts on private addresses that webhooks may be sent to, separated by commas. Public ones may be"
        " without this.",
    )
    max_queued: int = Field(10_000, ge=1, description="Rows that may wait in all; beyond it the answer is 503.")
    max_queued_per_caller: int = Field(5_000, ge=1, description="Rows of one caller that may wait.")
    prediction_seconds: int = Field(300, ge=1, description="A prediction not finished by then is `expired`.")
    micro_batch: int = Field(64, ge=1, le=1000, description="Rows that a worker takes for one predict call, at most.")
    time_limit: int = Field(
        20,
        ge=2,
        description="Seconds that one predict call may take. A row that takes longer alone fails as `timeout`.",
    )
    max_attempts: int = Field(3, ge=1, description="Workers that a row may cost before it fails as `worker_lost`.")
    retention_days: int = Field(
        0, ge=0, description="Days after which what has ended is removed. Empty or 0: kept for ever."
    )
    keeper_seconds: float = Field(2.0, gt=0, description="The time between two sweeps of the keeper.")
    batch_megabytes: int = Field(2048, ge=1, description="The largest file that may be sent to be scored.")
    batch_rows: int = Field(5_000_000, ge=1, description="Rows that a file may have, at most.")
    batch_columns: int = Field(2000, ge=1, description="Columns that a file may have, at most.")
    batch_cell_bytes: int = Field(65_536, ge=100, description="Bytes that one cell of a file may have, at most.")
    batch_jobs_per_caller: int = Field(5, ge=1, description="Files of one caller that may be unfinished at one time.")
    batch_hours: float = Field(24.0, gt=0, description="A file that is not scored by then is `expired`.")
    inference_engine: Literal["auto", "sklearn"] = Field(
        "auto",
        description="auto: a version that was compiled is served so. sklearn: all are served by their estimators.",
    )
    loader_megabytes: int = Field(1024, ge=1, description="Estimators kept in memory, in each worker process.")

    metrics_token: str = Field(
        "", description="Clients that send it may read /metrics. Empty: none may, except in development this machine."
    )
    sentry_dsn: str = Field("", description="Errors are reported there, without inputs. Empty: nowhere.")
    otel_exporter_otlp_endpoint: str = Field(
        "", description="Traces go to this OpenTelemetry collector (OTLP over HTTP). Empty: there are none."
    )
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")

    @field_validator("cors_allowed_origins")
    @classmethod
    def known_origins(cls, value: list[str]) -> list[str]:
        for origin in value:
            parts = urlsplit(origin)
            is_origin = parts.scheme in ("http", "https") and parts.hostname and origin.count("/") == 2
            if origin != "*" and not is_origin:
                raise ValueError(f"{origin!r} must be like https://shop.example.org, without a path, or *")
        return [origin.lower() for origin in value]  # in lower case, as browsers send it

    @field_validator("artefact_storage", mode="before")
    @classmethod
    def known_storage(cls, value: object) -> object:
        like = 'like {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": {…}}'
        try:
            said = json.loads(value) if isinstance(value, str) else value
        except ValueError:
            raise ValueError(f"must be JSON, {like}") from None
        if said != {} and not (isinstance(said, dict) and isinstance(said.get("BACKEND"), str)):
            raise ValueError(f"must be {like}")
        return said

    @field_validator("force_script_name")
    @classmethod
    def known_path(cls, value: str) -> str:
        path = value.rstrip("/")
        if path and not path.startswith("/"):
            raise ValueError("must begin with a slash, for example /foretell")
        return path

    @field_validator(
        "allowed_hosts", "csrf_trusted_origins", "cors_allowed_origins", "webhook_allowed_hosts", mode="before"
    )
    @classmethod
    def split(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("log_level")
    @classmethod
    def known_level(cls, value: str) -> str:
        if value.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
        return value.upper()

    @field_validator("submit_rate")
    @classmethod
    def known_rate(cls, value: str) -> str:
        if not value:
            return ""
        from limits import parse  # noqa: PLC0415 - large, and of no use to a process that limits nothing

        count, _, period = value.partition("/")
        periods = {"s": "second", "sec": "second", "min": "minute", "h": "hour"}
        spelled = f"{count.strip()}/{periods.get(period.strip(), period.strip())}"
        try:
            parse(spelled)
        except ValueError:
            raise ValueError("must be like 600/min or 10/s") from None
        return spelled

    @field_validator("sentry_dsn", "otel_exporter_otlp_endpoint")
    @classmethod
    def telemetry_is_installed(cls, value: str, field: ValidationInfo) -> str:
        package = {"sentry_dsn": "sentry_sdk", "otel_exporter_otlp_endpoint": "opentelemetry.sdk"}[
            str(field.field_name)
        ]
        if value and not _is_installed(package):
            raise ValueError("needs packages that are not installed: make telemetry")
        return value

    @field_validator("database_url", "redis_url", "broker_url")
    @classmethod
    def readable_url(cls, value: str) -> str:
        try:
            urlsplit(value)
        except ValueError:
            raise ValueError("is not an address; write an IPv6 host as [::1]") from None
        return value

    @field_validator("redis_url")
    @classmethod
    def redis_scheme(cls, value: str) -> str:
        if value and not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must begin with redis://, rediss:// or unix://")
        return value


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # the package that contains it is missing too
        return False


def read_env() -> Env:
    """Read the environment of the process, and `.env` at the top of the checkout for variables that are not set there.
    A variable that is empty counts as absent. Ends the process with a sentence for each variable that is wrong."""
    try:
        env = Env.model_validate({**_given(dotenv_values(FILE)), **_given(os.environ)})
    except ValidationError as error:
        refuse([f"{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors(include_input=False)])
    # Celery's command itself sets CELERY_BROKER_URL to the value of BROKER_URL.
    if os.environ.get("CELERY_BROKER_URL") and not env.broker_url:
        refuse(
            ["CELERY_BROKER_URL: Celery would send to another broker than Foretell looks at; set BROKER_URL instead"]
        )
    if env.production and (problems := unsafe(env)):
        refuse(problems)
    return env


def _given(variables: Mapping[str, str | None]) -> dict[str, str]:
    names = Env.model_fields
    return {name.lower(): value for name, value in variables.items() if value and name.lower() in names}


def refuse(problems: list[str]) -> NoReturn:
    lines = "\n".join(f"  {problem}" for problem in problems)
    print(
        f"Foretell cannot start; set these variables otherwise (.env.example explains them):\n{lines}", file=sys.stderr
    )
    sys.exit(2)


def broker_address(url: str) -> str:
    """The address in kombu's format: with its own scheme for Unix sockets, and with the order to check certificates."""
    return ";".join(_broker_address(one) for one in brokers(url))


def _broker_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "rediss" and "ssl_cert_reqs" not in parts.query:
        return urlunsplit(parts._replace(query=f"{parts.query}&ssl_cert_reqs=required".lstrip("&")))
    if parts.scheme == "unix":  # kombu reads the number of the database from `virtual_host`, redis-py from `db`
        return url.replace("unix://", "redis+socket://").replace("?db=", "?virtual_host=")
    return url


def secret_key(env: Env) -> str:
    """`SECRET_KEY`, or the key that the first start wrote into VAR_DIR. Only the owner of its file can read it."""
    if env.secret_key:
        return env.secret_key
    kept = env.var_dir / "secret_key"
    env.var_dir.mkdir(parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(60))
    except FileExistsError:
        pass
    return kept.read_text()


def example() -> str:
    """`.env.example`: every variable with its default and its meaning."""
    lines = ["# Copy this to .env, or set the variables otherwise. What is commented out shows the default.", ""]
    for name, field in Env.model_fields.items():
        default = field.default
        if isinstance(default, Path):
            default = f"./{default.relative_to(BASE_DIR)}"
        if isinstance(default, list):
            default = ",".join(default)
        if isinstance(default, bool):
            default = str(default).lower()
        lines += [f"# {field.description}", f"#{name.upper()}={default}", ""]
    return "\n".join(lines)
