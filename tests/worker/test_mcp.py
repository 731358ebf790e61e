"""The SDK's own client, unmodified, with the real processes."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.stack import Stack
from tests.support.waiting import wait_until

pytest.importorskip("mcp")

IRIS = {"sepal_length_cm": 5.1, "sepal_width_cm": 3.5, "petal_length_cm": 1.4, "petal_width_cm": 0.2}
MODES = ["auto", "legacy"]  # the protocol of 2026-07-28, and the one with a handshake before it


def with_client(stack: Stack, use: Callable[[Any], Awaitable[Any]], mode: str = "auto", token: str = "") -> Any:
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client
    from mcp.shared._httpx_utils import create_mcp_http_client

    async def run() -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with create_mcp_http_client(headers=headers) as http:
            transport = streamable_http_client(f"http://127.0.0.1:{stack.env['PORT']}/mcp/", http_client=http)
            async with Client(transport, mode=mode) as client:
                return await use(client)

    return asyncio.run(run())


@pytest.mark.parametrize("mode", MODES)
def test_client_finds_the_tools_and_gets_an_answer(stack: Stack, mode: str) -> None:
    async def use(client: Any) -> tuple[Any, Any]:
        return await client.list_tools(), await client.call_tool("predict_iris", IRIS)

    listed, result = with_client(stack, use, mode)

    assert {"predict_iris", "predict_diabetes", "get_prediction"} <= {tool.name for tool in listed.tools}
    assert not result.is_error
    body = result.structured_content
    assert (body["status"], body["output"]["label"]) == ("succeeded", "setosa")
    assert "setosa" in result.content[0].text
    assert "right in" in result.content[0].text


@pytest.mark.parametrize("mode", MODES)
def test_bad_input_reaches_the_agent(stack: Stack, mode: str) -> None:
    async def use(client: Any) -> Any:
        return await client.call_tool("predict_iris", {**IRIS, "petal_width_cm": "wide", "colour": 1})

    result = with_client(stack, use, mode)
    assert result.is_error
    assert {one["pointer"] for one in result.structured_content["errors"]} == {"/petal_width_cm", "/colour"}


def test_model_card_can_be_read(stack: Stack) -> None:
    async def use(client: Any) -> Any:
        return await client.read_resource("foretell://models/iris/card")

    assert "Iris" in with_client(stack, use).contents[0].text


def test_token_owns_its_predictions(stack: Stack) -> None:
    user = f"agent-{uuid.uuid4().hex[:8]}"
    create = "from django.contrib.auth.models import User; User.objects.create_user"
    stack.manage("shell", "-c", f"{create}({user!r})")
    token = stack.manage("create_token", user, "--name", "an agent").strip()

    async def ask(client: Any) -> Any:
        return await client.call_tool("predict_iris", IRIS)

    owned = with_client(stack, ask, token=token).structured_content["id"]

    async def look(client: Any) -> Any:
        return await client.call_tool("get_prediction", {"id": owned})

    assert with_client(stack, look).structured_content["code"] == "not_found"
    assert with_client(stack, look, token=token).structured_content["status"] == "succeeded"


def test_long_call_survives_the_death_of_web_and_worker(prepare_stack: Any) -> None:
    """The tool returns the id of a row, so another web process and another worker can continue with it."""
    with prepare_stack(WAIT_MAX=1) as stack:
        stack.start("redis", "web")

        async def ask(client: Any) -> Any:
            return await client.call_tool("predict_iris", IRIS)

        accepted = with_client(stack, ask)
        assert not accepted.is_error
        assert accepted.structured_content["status"] == "queued"
        prediction_id = accepted.structured_content["id"]
        assert prediction_id in accepted.content[0].text

        stack["web"].wipe_out()
        stack.start("worker", "keeper", "web")

        async def look(client: Any) -> Any:
            return await client.call_tool("get_prediction", {"id": prediction_id})

        def is_answered() -> bool:
            return bool(with_client(stack, look).structured_content["status"] == "succeeded")

        wait_until(is_answered, 40, "the prediction is answered")
