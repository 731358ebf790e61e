"""Browsers of other sites (CORS), by the rules of the Fetch standard, section 3.3."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from predictions.models import BatchJob, ModelVersion, RegisteredModel, State
from tests.integration.conftest import make
from tests.support.api_client import ApiClient
from tests.support.door import Answer, Door, open_door
from tests.support.files import GOOD, execute, form, text

pytestmark = pytest.mark.django_db(transaction=True)

SHOP, OTHER = "https://shop.example.org", "https://other.example.org"
PREDICT, BATCHES = "/api/v1/models/iris/predictions/", "/api/v1/batches/"
JSON = {"Content_Type": "application/json"}
PREFLIGHT = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "authorization"}


@pytest.fixture
def door(registered: dict[str, RegisteredModel], settings: Any) -> Iterator[Door]:
    settings.CORS_ALLOWED_ORIGINS = [SHOP]
    with open_door() as door:
        yield door


def allowed(answer: Answer) -> str | None:
    """The origin that may read the reply. It must vary by Origin: else a cache would give it to another site."""
    assert "Origin" in answer.headers["vary"].split(", ")
    assert "access-control-allow-credentials" not in answer.headers
    return answer.headers.get("access-control-allow-origin")


# --- Which replies ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/models/", 200),
        ("GET", "/api/v1/schema/", 200),
        ("GET", "/api/v1/nothing/", 404),
        ("PATCH", PREDICT, 405),
        ("POST", PREDICT, 400),
        ("GET", "/v2/health/ready", 200),
        ("GET", "/v2/models/nothing", 404),
        ("POST", BATCHES, 400),
        ("GET", f"/api/v1/predictions/{uuid.uuid4()}/events/", 404),
        ("GET", f"/api/v1/batches/{uuid.uuid4()}/results/", 404),
    ],
)
def test_known_site_may_read_every_reply(door: Door, method: str, path: str, status: int) -> None:
    known, other = (door.ask(method, path, Origin=origin) for origin in (SHOP, OTHER))

    assert (known.status_code, allowed(known)) == (status, SHOP)
    assert (other.status_code, allowed(other)) == (status, None)
    assert allowed(door.ask(method, path)) is None


def test_known_site_may_send_a_file_and_read_its_results(door: Door) -> None:
    body, content_type = form("iris", text([GOOD]))
    sent = door.ask("POST", BATCHES, body, Content_Type=content_type, Origin=SHOP)
    execute(BatchJob.objects.get(pk=sent.json()["id"]))
    read = door.ask("GET", f"{BATCHES}{sent.json()['id']}/results/", Origin=SHOP)

    assert [(answer.status_code, allowed(answer)) for answer in (sent, read)] == [(202, SHOP), (200, SHOP)]
    assert "content-disposition" in read.headers["access-control-expose-headers"].lower()


def test_known_site_may_read_a_stream(door: Door, iris: ModelVersion) -> None:
    row = make(iris, State.SUCCEEDED)
    assert allowed(door.ask("GET", f"/api/v1/predictions/{row.pk}/events/", Origin=SHOP)) == SHOP


def test_known_site_may_read_why_its_request_was_refused_early(door: Door, settings: Any) -> None:
    settings.PUBLIC_PREDICTIONS = False
    too_large = b"x" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    refused = [
        door.ask("GET", "/api/v1/models/", Origin=SHOP),
        door.ask("POST", PREDICT, too_large, Origin=SHOP, **JSON),
        door.ask("POST", PREDICT, b"{}", Origin=SHOP, Transfer_Encoding="gzip, chunked", **JSON),
        door.ask("GET", "/api/v1/models/", Origin=SHOP, Host="evil.example.org"),
    ]
    assert [answer.status_code for answer in refused] == [401, 413, 501, 400]
    assert {allowed(answer) for answer in refused} == {SHOP}


# --- Which sites ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "origin",
    ["null", "http://shop.example.org", f"{SHOP}:8443", f"{SHOP}.evil.org", "https://evil-shop.example.org", ""],
)
def test_another_origin_may_not_read(door: Door, origin: str) -> None:
    assert allowed(door.ask("GET", "/api/v1/models/", Origin=origin)) is None


@pytest.mark.parametrize("origin", [SHOP, "null"])
def test_star_lets_every_site_read(door: Door, settings: Any, origin: str) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["*"]
    assert allowed(door.ask("GET", "/api/v1/models/", Origin=origin)) == "*"


def test_no_site_may_read_by_default(client: ApiClient, iris: ModelVersion) -> None:
    reply = client.get("/api/v1/models/", headers={"Origin": SHOP})
    assert not {"Access-Control-Allow-Origin", "Vary"} & set(reply.headers)


# --- The preflight ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", [PREDICT, BATCHES, "/v2/models/iris/infer", "/mcp"])
def test_preflight_allows_what_programs_send(door: Door, settings: Any, path: str) -> None:
    settings.PUBLIC_PREDICTIONS = False  # a preflight carries no token
    reply = door.ask("OPTIONS", path, Origin=SHOP, **PREFLIGHT)

    assert (reply.status_code, reply.content, allowed(reply)) == (204, b"", SHOP)
    headers = set(reply.headers["access-control-allow-headers"].lower().split(", "))
    assert headers >= {"authorization", "content-type", "content-encoding", "prefer", "idempotency-key", "cancel-after"}
    assert {"POST", "PUT", "DELETE"} <= set(reply.headers["access-control-allow-methods"].split(", "))
    assert 0 < int(reply.headers["access-control-max-age"]) <= 7200  # as long as any browser keeps it


def test_preflight_of_another_site_allows_nothing(door: Door) -> None:
    reply = door.ask("OPTIONS", PREDICT, Origin=OTHER, **PREFLIGHT)
    assert allowed(reply) is None
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_options_without_a_preflight_says_the_methods(door: Door) -> None:
    reply = door.ask("OPTIONS", PREDICT, Origin=SHOP)
    assert (reply.status_code, allowed(reply)) == (204, SHOP)
    assert "POST" in reply.headers["allow"]


def test_preflight_opens_no_private_network(door: Door) -> None:
    """A public site must not reach a service of an intranet. This is also the default of django-cors-headers."""
    asked = {**PREFLIGHT, "Access_Control_Request_Private_Network": "true"}
    assert "access-control-allow-private-network" not in door.ask("OPTIONS", PREDICT, Origin=SHOP, **asked).headers
