import json
from collections.abc import Callable
from typing import Any

import pytest

from predictions.models import RegisteredModel
from tests.support.api_client import ApiClient

Ask = Callable[..., Any]
PROBLEM = "application/problem+json"


@pytest.fixture(autouse=True)
def _an_answer_at_once(settings: Any) -> None:
    """No thread waits for a prediction: pages answer at once. Requests of the API wait only if they ask for it."""
    settings.WAITERS_MAX = 0


@pytest.fixture
def client() -> ApiClient:
    """A client of the API without a token."""
    return ApiClient()


@pytest.fixture
def ask(client: ApiClient, registered: dict[str, RegisteredModel]) -> Ask:
    """Posts a JSON body to the predictions of a model. A `body` of text or bytes is sent unchanged."""

    def post(body: Any, model: str = "iris", **headers: Any) -> Any:
        sent = body if isinstance(body, str | bytes) else json.dumps(body)
        content_type = headers.pop("content_type", "application/json")
        return client.post(f"/api/v1/models/{model}/predictions/", sent, content_type=content_type, headers=headers)

    return post


def problem(response: Any, status: int) -> dict[str, Any]:
    """The body of a refusal, after a check of its status, content type and members."""
    assert (response.status_code, response["Content-Type"]) == (status, PROBLEM)
    body: dict[str, Any] = response.json()
    assert (body["type"], body["status"]) == ("about:blank", status)
    assert body.keys() - {"errors"} == {"type", "title", "status", "code", "detail"}
    return body
