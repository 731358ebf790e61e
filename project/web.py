"""`python -m project.web`: the web server, with what the environment says of it."""

import os

from project.env import read_env

# honcho gives its first process this PORT when nobody chose one: it is not a wish.
HONCHO_DEFAULT_PORT = "5000"


def main() -> None:
    if "HONCHO_PROCESS_NAME" in os.environ and os.environ.get("PORT") == HONCHO_DEFAULT_PORT:
        del os.environ["PORT"]
    env = read_env()
    command = [
        "granian", "--interface", "wsgi", "--host", env.host, "--port", str(env.port),
        "--workers", str(env.web_processes), "--blocking-threads", str(env.web_threads),
        # More connections than threads wait in the server's queue, not in the kernel's.
        "--backpressure", str(env.web_threads * 8), "--backlog", "2048",
        "--respawn-failed-workers", "--respawn-interval", "1", "--workers-kill-timeout", "4",
        "--no-ws", "--log-level", "error",
        "project.wsgi:application",
    ]  # fmt: skip
    print(f"Foretell answers on http://{env.host}:{env.port}/", flush=True)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
