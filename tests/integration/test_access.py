"""The permissions of docs/reference/access.md, tested for each route, method and kind of caller.

A new route needs its rows on that page. The content security policy of each page is tested too, and that no page
contains inline code.
"""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db import transaction

from predictions.models import ApiToken, BatchJob, Comparison, Embedding, ModelVersion, Prediction, State
from predictions.models.comparison import Kind
from predictions.queue import notifications
from predictions.use_cases.embeddings import seal
from predictions.use_cases.sharing import view_token
from predictions.web import polling
from tests.integration.conftest import IRIS, make, run_worker, signed_in
from tests.support.access import METHODS, PEOPLE, expected, is_api, routes, rows
from tests.support.files import make_job
from tests.support.site_client import Client

INFER = {"inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP64", "data": IRIS}]}
FORM = {"sepal length (cm)": "5", "sepal width (cm)": "3", "petal length (cm)": "1", "petal width (cm)": "0.2"}
SHOP = "https://shop.example.org"
# The bodies of POST requests; the others are empty.
BODIES: dict[str, Any] = {
    "/models/<slug:name>/predictions/": FORM,
    "/predictions/<uuid:prediction_id>/feedback/": {"was_right": "yes"},
    "/batches/new/": {"model": "iris"},
    "/api/v1/batches/": {"model": "iris", "rows": [IRIS]},
    "/api/v1/batches/<id:job_id>/corrections/": {"rows": [IRIS]},
    "/accounts/tokens/": {"name": "a token", "days": "30"},
    "/models/<slug:name>/embed/": {"origin": SHOP},
    "/embed/<str:key>/": FORM,
    "/api/v1/models/<slug:name>/predictions/": {"features": IRIS},
    "/api/v1/predictions/<id:prediction_id>/feedback/": {"was_right": True},
    "/v2/models/<str:name>/infer": INFER,
    "/v2/models/<str:name>/versions/<str:number>/infer": INFER,
}
SIGN_IN = ("/accounts/login/", "/admin/login/")


class InlineCode(HTMLParser):
    """Finds inline code, which the content security policy blocks."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        is_script = tag == "script" and "src" not in given and given.get("type") != "application/json"
        wrong = [name for name in given if name == "style" or name.startswith(("on", "hx-on", "hx-vars"))]
        # Code that htmx would evaluate: a condition of a trigger, or a value with a script.
        wrong += [name for name, value in attrs if (name == "hx-trigger" and "[" in (value or "")) or _is_code(value)]
        if is_script or tag == "style" or wrong:
            self.found.append(self.get_starttag_text() or tag)

    handle_startendtag = handle_starttag


def _is_code(value: str | None) -> bool:
    return (value or "").strip().lower().startswith(("javascript:", "js:"))


class World:
    """A model, and users with sessions and tokens."""

    def __init__(self, iris: ModelVersion, people: dict[str, User]) -> None:
        self.iris = iris
        self.people = people
        self.secrets = {name: ApiToken.objects.create(user=user, name="a token")[1] for name, user in people.items()}
        self.sessions = {name: signed_in(user).cookies for name, user in people.items()}
        self.group = Group.objects.create(name="a group")

    def address(self, route: str) -> str:
        """An address of the route, for an object of the owner."""
        for part, value in self._values(route).items():
            if part in route:
                route = route.replace(part, str(value()))
        assert not re.search(r"[<>()^$]", route), f"add a value for the part in {route} to World.address"
        return route

    def _values(self, route: str) -> dict[str, Callable[[], object]]:
        """For each placeholder of a route, a function that returns its value and creates the object that it needs."""
        return {
            "<str:key>": lambda: self.embedding().key,
            "<str:sealed>": self._sealed,
            "<slug:name>": lambda: "iris",
            "<str:name>": lambda: "iris",
            "<str:number>": lambda: "1",
            "<slug:called>": lambda: self._version(route),
            "<uuid:prediction_id>": lambda: self._prediction(route).pk,
            "<uuid:again_id>": lambda: self._prediction("").pk,
            "<id:prediction_id>": lambda: self._prediction(route).pk,
            "<str:view_token>": lambda: view_token(self._prediction(route)),
            "<uuid:job_id>": lambda: self._job().pk,
            "<id:job_id>": lambda: self._job().pk,
            "<str:token_key>": lambda: ApiToken.objects.get(user=self.people["owner"]).token_key,
            "<path:object_id>": lambda: self._object_of_admin(route),
            "<id>": lambda: self.people["owner"].pk,
            "<path:content_type_id>": lambda: ContentType.objects.get_for_model(User).pk,
            "<path:anything>": lambda: "nothing",
            r"^(?P<app_label>auth|predictions)/$": lambda: "predictions/",
            r"^(?:[\s\S]*/)?\Z": lambda: "nothing/",
            "(?P<url>.*)$": lambda: "nothing/",
        }

    def _version(self, route: str) -> str:
        if "comparison/progress" in route:
            Comparison.objects.get_or_create(version=self.iris, kind=Kind.REPLAY)
        return "champion"

    def _prediction(self, route: str) -> Prediction:
        owner = self.people["owner"]
        state = State.SUCCEEDED if "feedback" in route or "replay" in route else State.QUEUED
        return make(self.iris, state, owner=owner, caller=f"user:{owner.pk}")

    def _job(self) -> BatchJob:
        owner = self.people["owner"]
        return make_job(self.iris, owner=owner, caller=f"user:{owner.pk}")

    def _sealed(self) -> str:
        embedding = self.embedding()
        return seal(embedding, make(self.iris, State.QUEUED, caller=f"embed:{embedding.pk}").pk)

    def _object_of_admin(self, route: str) -> object:
        found: dict[str, Callable[[], object]] = {
            "predictions/registeredmodel": lambda: self.iris.registered_model_id,
            "predictions/modelversion": lambda: self.iris.pk,
            "predictions/prediction": lambda: self._prediction(route).pk,
            "auth/user": lambda: self.people["owner"].pk,
            "auth/group": lambda: self.group.pk,
        }
        return next((make_it() for part, make_it in found.items() if part in route), 1)

    def embedding(self) -> Embedding:
        """An embedding that an operator made: it opens the model to strangers."""
        maker, model = self.people["superuser"], self.iris.registered_model
        return Embedding.objects.get_or_create(user=maker, registered_model=model, origin=SHOP)[0]

    def session(self, name: str) -> Client:
        client = Client()
        client.cookies.load({key: cookie.value for key, cookie in self.sessions.get(name, {}).items()})
        return client

    def client(self, name: str, route: str) -> Client:
        """A client with a session for pages, or with a token for the API, which reads no session."""
        return self.token(name) if is_api(route) and name in self.people else self.session(name)

    def token(self, name: str) -> Client:
        return Client(headers={"Authorization": f"Bearer {self.secrets[name]}"})


@pytest.fixture
def world(
    iris: ModelVersion, owner: User, stranger: User, analyst: User, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> World:
    """The worker runs at each notification, in this thread, so no request waits."""
    monkeypatch.setattr(notifications, "notify", lambda lane: run_worker(iris, lane))
    monkeypatch.setattr("predictions.api.events.STREAM_SECONDS", 0.0)
    settings.WAIT_MAX = 0.01
    monkeypatch.setattr(polling, "HOLD_SECONDS", 0.01)
    superuser = User.objects.create_superuser("superuser", password="secret-of-superuser")
    return World(iris, {"owner": owner, "stranger": stranger, "analyst": analyst, "superuser": superuser})


@pytest.fixture
def ask(world: World) -> Callable[[Client, str, str], Any]:
    """Sends a request, and rolls its changes back."""

    def request(client: Client, route: str, method: str) -> Any:
        sent: dict[str, Any] = {}
        if method in ("POST", "PUT"):
            body = BODIES.get(route, {})
            sent = {"data": json.dumps(body), "content_type": "application/json"} if is_api(route) else {"data": body}
        with transaction.atomic():
            response = getattr(client, method.lower())(world.address(route), **sent)
            transaction.set_rollback(True)
        return response

    return request


def outcome(response: Any) -> str:
    """The status code, or "sign in" for a redirect to the login page."""
    if response.status_code == 302 and response["Location"].startswith(SIGN_IN):
        return "sign in"
    return str(response.status_code)


def check_page(response: Any, route: str) -> None:
    """Check that a page has no inline code, and that only an embedded page may be framed, by its one origin."""
    in_frame = route.startswith("/embed/<str:key>/") and response.status_code < 400
    assert ("X-Frame-Options" in response) is not in_frame
    if response.headers.get("Content-Type", "").startswith("text/html"):
        policy = {part.strip() for part in response["Content-Security-Policy"].split(";")}
        ancestors = f"frame-ancestors {SHOP}" if in_frame else "frame-ancestors 'none'"
        assert policy >= {"default-src 'none'", "script-src 'self'", "style-src 'self'", ancestors}
        html = response.content.decode()
        assert InlineCode(html).found == []
        assert ("htmx" in html) <= ("&quot;allowEval&quot;: false" in html or '"allowEval": false' in html)


@pytest.mark.parametrize(
    "html",
    [
        "<script>x</script>",
        "<style>x</style>",
        '<p style="x">',
        '<p onclick="x">',
        '<input hx-on:click="x">',
        '<a href="javascript:x">',
        '<p hx-vals="js:{x}">',
        '<p hx-trigger="every 1s [x]">',
    ],
)
def test_inline_code_is_found(html: str) -> None:
    assert len(InlineCode(f'<script src="a.js"></script>{html}').found) == 1


def test_table_has_the_routes_of_the_url_configuration() -> None:
    assert sorted({row.route for row in rows()}) == routes()


@pytest.mark.parametrize("route", routes())
def test_response_is_that_of_the_table(world: World, ask: Callable[..., Any], route: str, settings: Any) -> None:
    found: dict[str, dict[str, str]] = {method: {} for method in METHODS}
    for name in PEOPLE:
        settings.PUBLIC_PREDICTIONS = name == "visitor"
        for method in METHODS:
            response = ask(world.client(name, route), route, method)
            check_page(response, route)
            found[method][name] = outcome(response)

    assert found == expected(route)


@pytest.mark.parametrize("route", routes())
def test_token_is_valid_for_the_api_only(world: World, ask: Callable[..., Any], route: str, settings: Any) -> None:
    settings.PUBLIC_PREDICTIONS = False
    names = list(world.people) if is_api(route) else ["superuser"]
    found = {
        method: {name: outcome(ask(world.token(name), route, method)) for name in names} for method in ("GET", "POST")
    }

    assert found == {
        method: {name: cells[name if is_api(route) else "visitor, not public"] for name in names}
        for method, cells in expected(route).items()
        if method in found
    }


@pytest.mark.parametrize(
    "route",
    [
        route
        for route in routes()
        if expected(route)["POST"]["superuser"] != "405"
        and not is_api(route)
        and not route.startswith("/embed/")  # reads no cookie: see tests/integration/web/test_embedding.py
        and route != "/language/"  # changes the language of a page and nothing else
    ],
)
def test_post_without_a_csrf_token_is_403(world: World, route: str) -> None:
    """Another site can make a browser send its cookies, but not the CSRF token."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.people["superuser"])

    response = client.post(world.address(route), BODIES.get(route, {}))

    assert response.status_code == 403
    assert not Prediction.objects.filter(caller=f"user:{world.people['superuser'].pk}").exists()


@pytest.mark.parametrize(("public", "status"), [(True, 200), (False, 404)])
def test_prediction_without_an_owner_is_visible_if_predictions_are_public(
    world: World, settings: Any, public: bool, status: int
) -> None:
    settings.PUBLIC_PREDICTIONS = public
    row = make(world.iris, State.SUCCEEDED)
    pages, programs = [Client(), world.session("stranger")], [Client(), world.token("stranger")]

    assert [client.get(f"/predictions/{row.pk}/").status_code for client in pages] == [status] * 2
    assert [client.get(f"/api/v1/predictions/{row.pk}/").status_code for client in programs] == [
        200 if public else 401,
        status,
    ]
