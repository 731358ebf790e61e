"""Fixtures: the real processes, for unmodified clients of other projects that run in their own environments."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support import stack as stacks


@pytest.fixture(scope="package")
def url(trained_models: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    assert request.config.cache
    with stacks.prepared(trained_models, request.config.cache.mkdir("foretell-static")) as stack:
        stack.start("redis", "worker", "keeper", "web")
        yield f"http://127.0.0.1:{stack.env['PORT']}"


@pytest.fixture(scope="package")
def schema(url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The OpenAPI document of the running server."""
    path = tmp_path_factory.mktemp("schema") / "schema.json"
    path.write_text(httpx.get(f"{url}/api/v1/schema/").text)
    return path
