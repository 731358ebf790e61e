"""The requests in the tutorial get the responses that it describes."""

import json
import re
import shlex

import httpx

from project.env import BASE_DIR
from tests.support.stack import Stack

TUTORIAL = (BASE_DIR / "docs/tutorials/first-prediction.md").read_text()


def send(stack: Stack, command: str) -> httpx.Response:
    """Send the request of a curl command."""
    program, address, *options = shlex.split(command.replace("\\\n", " "))
    assert (program, address[:21]) == ("curl", "http://127.0.0.1:8000")
    pairs = list(zip(options[::2], options[1::2], strict=True))
    headers = dict(value.split(": ", 1) for option, value in pairs if option == "-H")
    (body,) = (value for option, value in pairs if option == "-d")
    return stack.client.post(address[21:], content=body, headers=headers)


def test_requests_of_the_tutorial_get_the_described_responses(stack: Stack) -> None:
    waited, accepted, refused = (
        send(stack, command) for command in re.findall(r"^curl .*?(?=^```)", TUTORIAL, re.MULTILINE | re.DOTALL)
    )
    assert (waited.status_code, waited.json()["status"], waited.json()["output"]["label"]) == (
        200,
        "succeeded",
        "setosa",
    )
    assert accepted.status_code == 202
    location = stack.client.get(accepted.headers["Location"])
    assert json.loads(location.content)["id"] == accepted.json()["id"]
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/features/0"
