"""`python -m project.server`: the web server, with what the environment says of it."""

import gc
import os

from granian import Granian
from granian.constants import Interfaces, Loops
from granian.log import LogLevels

from project.env import read_env

# honcho gives its first process this PORT when nobody chose one: it is not a wish.
HONCHO_DEFAULT_PORT = "5000"


def main() -> None:
    if "HONCHO_PROCESS_NAME" in os.environ and os.environ.get("PORT") == HONCHO_DEFAULT_PORT:
        del os.environ["PORT"]
    env = read_env()
    preload()
    server = Granian(
        "project.asgi:application",
        address=env.host,
        port=env.port,
        interface=Interfaces.ASGINL,
        workers=env.web_processes,
        loop=Loops.asyncio,
        backlog=2048,
        respawn_failed_workers=True,
        respawn_interval=1.0,
        workers_kill_timeout=4,
        websockets=False,
        log_level=LogLevels.error,
    )
    print(f"Foretell answers on http://{env.host}:{env.port}/", flush=True)
    server.serve()


def preload() -> None:
    """Import all that the web processes use before they are forked: what is imported here they share.

    The application itself, with its connections and whatever threads it has, each of them makes after the fork.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    import django  # noqa: PLC0415 - the settings are read at the first import
    from django.urls import get_resolver  # noqa: PLC0415

    django.setup()
    import project.server.dispatch  # noqa: F401, PLC0415 - the settings first

    _ = get_resolver().url_patterns
    gc.collect()
    gc.freeze()
    # What requests leave behind has few cycles: looking for them at every 700 objects cost a twentieth of the time.
    gc.set_threshold(50_000, 20, 20)


if __name__ == "__main__":
    main()
