"""`python -m project.server`: the web server, with what the environment says of it."""

import gc
import os
import socket
import sys
from functools import partial

from uvicorn import Config

from project.env import Env, read_env
from project.server.guard import Addresses, GuardedProtocol
from project.server.processes import ACCEPTED_AT_ONCE, GuardedServer, Processes, allow_many_connections, listen

# honcho gives its first process this PORT when nobody chose one: it is not a wish.
HONCHO_DEFAULT_PORT = "5000"
KEEP_ALIVE_SECONDS = 20
# A request that waits for its result is answered after SIGTERM too; this is for what it does after its wait.
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
    """One web process, until SIGTERM and until what it has accepted is answered."""
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
    """Import all that the web processes use before they are forked: what is imported here they share.

    The application itself, with its connections and whatever threads it has, each of them makes after the fork.
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
    import project.server.dispatch  # noqa: F401, PLC0415 - the settings first

    _ = get_resolver().url_patterns
    gc.collect()
    gc.freeze()
    # What requests leave behind has few cycles: looking for them at every 700 objects cost a twentieth of the time.
    gc.set_threshold(50_000, 20, 20)


if __name__ == "__main__":
    main()
