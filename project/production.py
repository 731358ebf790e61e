"""Unsafe settings of a server that others can reach. With `PRODUCTION=true` the start refuses them."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from project.env import Env

# Only these values of a parameter of a URL are safe. A URL without the parameter is safe too.
CHECKED_TLS: Mapping[str, set[str]] = {
    "ssl_cert_reqs": {"required", "cert_required"},
    "ssl_check_hostname": {"true", "1", "t", "yes", "y"},
}
SAFE_SSLMODES = {"require", "verify-ca", "verify-full"}
# RabbitMQ comes with this account.
KNOWN_PASSWORDS = (None, "", "guest")


def unsafe(env: "Env") -> list[str]:
    """Every unsafe setting, each with its remedy."""
    findings = {**_of_secrets(env), **_of_the_web(env), **_of_connections(env)}
    return [problem for problem, is_so in findings.items() if is_so]


def _of_secrets(env: "Env") -> dict[str, bool]:
    key, token = env.secret_key, env.metrics_token
    return {
        "DEBUG: must be false in production": env.debug,
        "SECRET_KEY: must be set, to 50 characters or more": len(key) < 50,
        "SECRET_KEY: must be random; make one with python -c 'import secrets; print(secrets.token_urlsafe(60))'": (
            len(key) >= 50 and (len(set(key)) < 10 or key.startswith("django-insecure-"))
        ),
        "METRICS_TOKEN: must have 16 characters or more, of which 8 or more differ": (
            token != "" and (len(token) < 16 or len(set(token)) < 8)
        ),
    }


def _of_the_web(env: "Env") -> dict[str, bool]:
    return {
        "ALLOWED_HOSTS: must name the hosts, not * nor all subdomains (.example.org)": any(
            "*" in host or host.startswith(".") for host in env.allowed_hosts
        ),
        "CSRF_TRUSTED_ORIGINS: must name https:// origins in full, without *": not all(
            _is_full_origin(origin) for origin in env.csrf_trusted_origins
        ),
        "HOST: an address that others reach needs HTTPS=true, or set HOST=127.0.0.1": (
            not env.https and not _is_local(env.host)
        ),
    }


def _of_connections(env: "Env") -> dict[str, bool]:
    return {
        "REDIS_URL: a Redis on another machine needs a password": (
            not _stays_here(env.redis_url) and not _is_guarded(env.redis_url)
        ),
        "REDIS_URL: its certificate must be checked; remove ssl_cert_reqs and ssl_check_hostname, and name the"
        " authority by ssl_ca_certs=": _skips_tls(env.redis_url),
        "BROKER_URL: a broker on another machine needs a password of its own, not guest": any(
            not _stays_here(url) and not _is_guarded(url) for url in brokers(env.broker_url)
        ),
        "BROKER_URL: needs a password of its own, as the Redis of REDIS_URL has one": _is_guarded(env.redis_url)
        and any(_stays_here(url) and _has_host(url) and not _is_guarded(url) for url in brokers(env.broker_url)),
        "BROKER_URL: its certificate must be checked; remove ssl_cert_reqs and ssl_check_hostname": any(
            _skips_tls(url) for url in brokers(env.broker_url)
        ),
        "DATABASE_URL: a database on another machine needs sslmode=require, verify-ca or verify-full": (
            not _stays_here(env.database_url) and not _demands_tls(env.database_url)
        ),
    }


def brokers(url: str) -> list[str]:
    """The URL of each broker. Celery takes several, separated by semicolons."""
    return [one for one in url.split(";") if one]


def _is_full_origin(origin: str) -> bool:
    parts = urlsplit(origin)
    return parts.scheme == "https" and bool(parts.hostname) and "*" not in origin


def _is_guarded(url: str) -> bool:
    return urlsplit(url).password not in KNOWN_PASSWORDS


def _stays_here(url: str) -> bool:
    return all(_is_local(host) for host in _hosts(urlsplit(url)))


def _has_host(url: str) -> bool:
    """False for the URL of a Unix socket: the permissions of its folder decide who can reach it."""
    return any(host and not host.startswith("/") for host in _hosts(urlsplit(url)))


def _hosts(url: SplitResult) -> Iterator[str]:
    """All hosts that a URL names. PostgreSQL takes several, and a host may stand among the parameters too."""
    named = [value for name, value in parse_qsl(url.query) if name.lower() in ("host", "hostaddr")]
    for host in ",".join([url.netloc.rpartition("@")[2], *named]).split(","):
        name = unquote(host).strip()
        yield name[1:].partition("]")[0] if name.startswith("[") else _without_port(name)


def _without_port(host: str) -> str:
    return host.partition(":")[0] if host.count(":") == 1 else host


def _is_local(host: str) -> bool:
    """Whether a host is this machine, by name or address. A path is that of a Unix socket."""
    if host in ("", "localhost") or host.startswith("/"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _skips_tls(url: str) -> bool:
    parameters = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    return any(value.lower() not in CHECKED_TLS.get(name.lower(), {value.lower()}) for name, value in parameters)


def _demands_tls(url: str) -> bool:
    modes = [value for name, value in parse_qsl(urlsplit(url).query) if name == "sslmode"]
    return bool(modes) and SAFE_SSLMODES.issuperset(modes)
