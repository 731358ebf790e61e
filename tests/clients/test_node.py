"""Clients on Node.js: types of openapi-typescript, and the command line of MCP Inspector."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.environments import node_with, run

HERE = Path(__file__).parent
SETOSA = {"sepal_length_cm": 5.1, "sepal_width_cm": 3.5, "petal_length_cm": 1.4, "petal_width_cm": 0.2}
ACCEPTED_BY_HOSTS = re.compile(r"[a-zA-Z0-9_.-]{1,64}")


@pytest.fixture(scope="module")
def node() -> Path:
    return node_with(HERE / "node/package-lock.json")


def test_types_of_openapi_typescript_hold_and_answer(url: str, schema: Path, node: Path, tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(node / "node_modules")
    for path in (HERE / "node/package.json", HERE / "node/tsconfig.json", HERE / "programs/openapi_fetch_program.ts"):
        shutil.copy(path, tmp_path)
    programs = node / "node_modules/.bin"
    run([programs / "openapi-typescript", schema, "-o", "foretell.d.ts"], tmp_path)

    run([programs / "tsc", "-p", "."], tmp_path)

    got = json.loads(run(["node", "out/openapi_fetch_program.js", url, json.dumps(list(SETOSA.values()))], tmp_path))
    assert (got["label"], got["read"], got["refused"]) == ("setosa", "setosa", "invalid_input")
    assert "iris" in got["models"]


def inspect(node: Path, url: str, *arguments: str) -> Any:
    command = [node / "node_modules/.bin/mcp-inspector", "--cli", f"{url}/mcp/", "--transport", "http", *arguments]
    return json.loads(run(command, node))


def test_inspector_finds_tools_whose_names_hosts_accept(url: str, node: Path) -> None:
    tools = {tool["name"]: tool for tool in inspect(node, url, "--method", "tools/list")["tools"]}

    assert {"predict_iris", "predict_breast-cancer", "get_prediction"} <= tools.keys()
    for name, tool in tools.items():
        assert all(ACCEPTED_BY_HOSTS.fullmatch(one) for one in [name, *tool["inputSchema"]["properties"]])


def test_inspector_calls_a_tool_and_reads_a_card(url: str, node: Path) -> None:
    arguments = [part for name, value in SETOSA.items() for part in ("--tool-arg", f"{name}={value}")]

    called = inspect(node, url, "--method", "tools/call", "--tool-name", "predict_iris", *arguments)
    card = inspect(node, url, "--method", "resources/read", "--uri", "foretell://models/iris/card")

    assert called["structuredContent"]["output"]["label"] == "setosa"
    assert "Iris" in card["contents"][0]["text"]
