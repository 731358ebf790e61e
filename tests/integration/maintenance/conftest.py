import pytest
import redis

from predictions.queue import completions, notifications, redis_client


@pytest.fixture
def redis_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client whose server does not exist."""
    dead = redis.Redis(unix_socket_path="/nowhere/redis.sock", retry=None)
    for module in (redis_client, notifications, completions):
        monkeypatch.setattr(module, "client", lambda: dead)
