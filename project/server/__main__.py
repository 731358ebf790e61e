"""`python -m project.server`: the web server, configured by the environment."""

import gc
import os
import socket
import sys
from functools import partial

from uvicorn import Config

from project.env import Env, read_env
from project.server.guard import Addresses, GuardedProtocol
from project.server.processes import ACCEPTED_AT_ONCE, GuardedServer, Processes, allow_many_connections, listen

# honcho sets PORT to this value for its first process if no port is chosen, so this value is ignored.
HONCHO_DEFAULT_PORT = "5000"
KEEP_ALIVE_SECONDS = 20
# A request that waits for its result is answered even after SIGTERM. This is the time for its work after the wait.
ANSWER_SECONDS = 5


def main() -> None:
    if "HONCHO_PROCESS_NAME" in os.environ and os.environ.get("PORT") == HONCHO_DEFAULT_PORT:
        del os.environ["PORT"]
    env = read_env()
    preload()
    allow_many_connections()
    try:
        listeners = listen(env.host, env.port, env.web_processes)
    except OSError as error:
        sys.exit(f"Foretell cannot listen on {env.host}:{env.port}: {error.strerror}. Set HOST or PORT otherwise.")
    print(f"Foretell answers on http://{env.host}:{env.port}/", flush=True)
    drain_seconds = env.wait_max + ANSWER_SECONDS
    Processes(listeners, partial(serve, env, drain_seconds), drain_seconds).serve()


def serve(env: Env, drain_seconds: float, listener: socket.socket) -> None:
    """Run one web process until SIGTERM, and then until all accepted requests are answered."""
    addresses = Addresses(None if env.behind_proxy else env.connections_per_address or None)
    config = Config(
        "project.asgi:application",
        http=partial(GuardedProtocol, addresses),  # type: ignore[arg-type]  # a factory will do
        loop="asyncio",
        backlog=ACCEPTED_AT_ONCE,
        lifespan="off",
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(drain_seconds),
    )
    GuardedServer(config).run(sockets=[listener])


def preload() -> None:
    """Import all modules that the web processes use before these are forked, so that they share the memory.

    Each process makes the application itself after the fork, with its connections and threads.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    import django  # noqa: PLC0415 - the settings are read at the first import
    from django.db import connection  # noqa: PLC0415
    from django.urls import get_resolver  # noqa: PLC0415

    django.setup()
    if connection.vendor != "postgresql":
        # REST framework imports psycopg if it is installed, for a field type that this project does not use. The import
        # is a tenth of the start time. A module that is None in sys.modules cannot be imported.
        sys.modules.setdefault("django.contrib.postgres", None)  # type: ignore[arg-type]
    import project.server.dispatch  # noqa: F401, PLC0415 - Django must be set up first

    _ = get_resolver().url_patterns
    gc.collect()
    gc.freeze()
    # Requests leave few reference cycles. A collection after every 700 objects took a twentieth of the time.
    gc.set_threshold(50_000, 20, 20)


if __name__ == "__main__":
    main()
