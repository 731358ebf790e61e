"""Any JSON gets a documented response, and no row is stored that the signature would refuse."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from predictions.models import Feedback, Prediction, RegisteredModel, State
from predictions.use_cases.callers import of_address
from tests.integration.conftest import make
from tests.support.api_client import ApiClient
from tests.support.door import Door, open_door
from tests.support.fuzzing import asked, examples
from tests.support.site_client import Client

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=20),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(st.characters(codec=None), max_size=8), inner),
    max_leaves=12,
)
# Values that are almost valid find the most mistakes.
near = {
    "long side": st.floats(-1, 500) | st.integers(-1, 10**400) | anything,
    "count": st.integers(-1, 12) | st.floats(0, 12) | anything,
    "colour": st.sampled_from(["r", "g", "b", 1]) | anything,
    "ripe": st.booleans() | anything,
    "note": st.text(st.characters(codec=None), max_size=60) | st.none(),
    "a/b~c": st.floats() | st.none(),
}
rows = st.fixed_dictionaries({}, optional=near) | st.tuples(*near.values()).map(list) | anything
bodies = st.fixed_dictionaries({"features": rows}, optional={"more": anything}) | anything


@pytest.fixture
def door(kinds: RegisteredModel) -> Iterator[Door]:
    with open_door() as door:
        yield door


PAGES = ["/models/kinds/", "/predictions/", "/predictions/{}/", "/monitor/feed/"]
often, now_and_then = examples(40), examples(16)


def post(client: ApiClient, address: str, body: Any) -> Any:
    """Post a body. NaN and the infinities are written as Python writes them, which is not valid JSON."""
    return client.post(address, json.dumps(body), content_type="application/json")


@often
@given(body=bodies)
@example(body={"features": [0.0, 0, "r", False, "", None]})  # at least one is accepted, even if few are tried
def test_any_body_gets_a_documented_answer(client: ApiClient, kinds: RegisteredModel, body: Any) -> None:
    asked["API, any JSON"] += 1
    before = Prediction.objects.count()

    response = post(client, "/api/v1/models/kinds/predictions/", body)

    assert response.status_code in (202, 400, 422)
    response.json()
    accepted = Prediction.objects.count() - before
    assert accepted == (response.status_code == 202)
    if accepted:
        assert kinds.champion
        row = Prediction.objects.latest("created_at")
        assert kinds.champion.signature.clean(row.values) == row.values
        assert client.get(f"/api/v1/predictions/{row.pk}/").json()["features"] == response.json()["features"]
        assert Client().get(f"/predictions/{row.pk}/").status_code == 200


# Any text that a header may hold, or a text that is almost a valid value.
values = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=30)
headers = st.fixed_dictionaries(
    {},
    optional={
        "Prefer": st.sampled_from(["wait=0", "wait=0.01", "respond-async", "wait=", "wait=0,wait"]) | values,
        "Idempotency-Key": st.sampled_from(["a", "b"]) | values,
        "Cancel-After": st.sampled_from(["5m", "1", "0", "25h"]) | values,
        "Authorization": st.sampled_from(["Bearer", "Bearer x", "Basic eDp5"]) | values,
        "X-Forwarded-For": values,
        "Cookie": values,
    },
)


@pytest.mark.django_db(transaction=True)
@often
@given(content=bodies.map(json.dumps).map(str.encode) | st.binary(max_size=40), said=headers)
def test_both_clients_get_the_same_answer(
    client: ApiClient, kinds: RegisteredModel, door: Door, content: bytes, said: dict[str, str]
) -> None:
    asked["API, any JSON and headers"] += 2
    address = "/api/v1/models/kinds/predictions/"
    said = {name: value.strip(" ") for name, value in said.items()}  # as a web server does

    served = door.ask("POST", address, content, **{"Content-Type": "application/json"}, **said)
    direct = client.post(address, content, content_type="application/json", headers=said)

    assert served.status_code in (202, 400, 401, 422)
    assert (served.status_code, served.json().get("code")) == (direct.status_code, direct.json().get("code"))


@often
@given(body=st.fixed_dictionaries({}, optional=dict.fromkeys(["was_right", "actual", "comment"], anything)) | anything)
def test_any_feedback_gets_a_documented_answer(client: ApiClient, kinds: RegisteredModel, body: Any) -> None:
    asked["API, any JSON"] += 1
    assert kinds.champion
    caller = of_address("127.0.0.1").key
    row = make(kinds.champion, State.SUCCEEDED, caller=caller, values=[1.0, 1, "r", True, None, None])

    response = post(client, f"/api/v1/predictions/{row.pk}/feedback/", body)

    assert response.status_code in (201, 400, 422)
    response.json()
    assert Feedback.objects.filter(prediction=row).count() == (response.status_code == 201)


@pytest.mark.parametrize("name", ["attempt", "page", "from", "example", "model", "state", "after"])
@now_and_then
@given(value=st.text(max_size=30), page=st.sampled_from(PAGES))
def test_any_query_gets_a_page(admin_client: Client, kinds: RegisteredModel, name: str, value: str, page: str) -> None:
    asked["pages, any query"] += 1
    assert kinds.champion
    row = Prediction.objects.first() or make(kinds.champion, values=[1.0, 1, "r", True, None, None])

    assert admin_client.get(page.format(row.pk), {name: value}).status_code == 200
