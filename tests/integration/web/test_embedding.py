"""A model's form in another site's page: who may make it, where it is shown, and what is known of its visitors."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User

from predictions.maintenance import retention
from predictions.models import Embedding, ModelVersion, Prediction, Source, State
from predictions.use_cases.embeddings import seal
from predictions.web.visitors import COOKIE
from tests.integration.conftest import make, run_worker, signed_in
from tests.integration.web.conftest import Page
from tests.support.site_client import Client

SHOP = "https://shop.example.org"
HTMX = {"HX-Request": "true"}
FORM = {"sepal length (cm)": "5.1", "sepal width (cm)": "3.5", "petal length (cm)": "1.4", "petal width (cm)": "0.2"}
MANAGE = "/models/iris/embed/"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def operator(db: None) -> User:
    user = User.objects.create_user("olga", password="secret-of-olga")
    user.user_permissions.add(Permission.objects.get(codename="operate_models"))
    return user


@pytest.fixture
def embedding(iris: ModelVersion, owner: User) -> Embedding:
    return Embedding.objects.create(user=owner, registered_model=iris.registered_model, origin=SHOP)


def address(embedding: Embedding, sealed: str = "", rest: str = "") -> str:
    return f"/embed/{embedding.key}/" + (f"results/{sealed}/{rest}" if sealed else "")


def policy(response: Any) -> set[str]:
    return {part.strip() for part in response["Content-Security-Policy"].split(";")}


def asked(embedding: Embedding, iris: ModelVersion, state: State = State.SUCCEEDED) -> Prediction:
    return make(iris, state, caller=f"embed:{embedding.pk}")


# --- Making and revoking ----------------------------------------------------------------------------------------------
def test_maker_copies_the_html_from_the_page_of_the_model(iris: ModelVersion, owner: User) -> None:
    client = signed_in(owner)

    made = client.post(MANAGE, {"origin": "HTTPS://Shop.example.org:443/"})

    assert (made.status_code, made["Location"]) == (302, MANAGE)
    embedding = Embedding.objects.get()
    assert (embedding.origin, embedding.user) == (SHOP, owner)
    for place in (MANAGE, "/models/iris/"):
        text = Page(client.get(place)).text
        assert f'<iframe src="http://testserver/embed/{embedding.key}/" title="Iris species"' in text
        assert '<script src="http://testserver/embed/height.js" async></script>' in text
    assert embedding.key not in Page(Client().get("/models/iris/")).text


def test_title_of_the_model_cannot_break_out_of_the_html(iris: ModelVersion, owner: User, embedding: Embedding) -> None:
    iris.registered_model.title = 'A "fine" <b>model'
    iris.registered_model.save()

    text = Page(signed_in(owner).get(MANAGE)).text

    assert 'title="A &quot;fine&quot; &lt;b&gt;model"' in text


@pytest.mark.parametrize(
    "origin",
    [
        "", "shop.example.org", "https://", "https://*.example.org", "https://shop.example.org/page", "ftp://example.org",
        "https://a b", "https://shop.example.org; script-src *", "https://user@example.org", "https://bücher.example",
        "https://example.org:0", "https://example.org:99999", "'none'", "https://" + "a" * 254,
    ],
)  # fmt: skip
def test_text_that_is_no_origin_is_refused_with_an_example(iris: ModelVersion, owner: User, origin: str) -> None:
    response = signed_in(owner).post(MANAGE, {"origin": origin})

    assert response.status_code == 422
    assert not Embedding.objects.exists()
    assert Page(response).one("a", href="#id_origin")


def test_origin_has_one_embedding_only_and_their_number_is_bounded(
    iris: ModelVersion, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("predictions.web.views.embeddings.MOST", 2)
    client = signed_in(owner)
    sent = [client.post(MANAGE, {"origin": o}).status_code for o in (SHOP, SHOP, "http://localhost:1", "http://b.org")]

    assert sent == [302, 302, 302, 422]
    assert sorted(Embedding.objects.values_list("origin", flat=True)) == ["http://localhost:1", SHOP]


def test_others_cannot_revoke_it_and_operators_can(
    client: Client, embedding: Embedding, owner: User, stranger: User, operator: User
) -> None:
    place = f"{MANAGE}{embedding.key}/revoke/"
    assert client.get(address(embedding)).status_code == 200
    assert signed_in(stranger).post(place).status_code == 404
    assert "shop.example.org" in Page(signed_in(owner).get(place)).text

    assert signed_in(operator).post(place)["Location"] == MANAGE

    assert client.get(address(embedding)).status_code == 404


def test_where_predictions_need_an_account_only_operators_open_a_model(
    client: Client, iris: ModelVersion, embedding: Embedding, owner: User, operator: User, settings: Any
) -> None:
    settings.PUBLIC_PREDICTIONS = False
    opened = Embedding.objects.create(user=operator, registered_model=iris.registered_model, origin=SHOP)

    assert signed_in(owner).post(MANAGE, {"origin": SHOP}).status_code == 403
    assert client.get(address(embedding)).status_code == 404
    assert client.get(address(opened)).status_code == 200
    response = client.post(address(opened), FORM)
    assert response.status_code == 303
    assert client.get(response["Location"]).status_code == 200

    operator.is_active = False
    operator.save()
    assert client.get(address(opened)).status_code == 404


def test_data_of_the_maker_holds_and_removes_it(embedding: Embedding, owner: User) -> None:
    client = signed_in(owner)
    assert SHOP in b"".join(client.get("/accounts/data/")).decode()  # type: ignore[call-overload]

    client.post("/accounts/data/remove/")

    assert not Embedding.objects.exists()


# --- In the frame -----------------------------------------------------------------------------------------------------
def test_only_its_origin_may_frame_the_embedded_pages(client: Client, embedding: Embedding, iris: ModelVersion) -> None:
    sealed = seal(embedding, asked(embedding, iris).pk)
    pages = [address(embedding), address(embedding, sealed), address(embedding, sealed, "status/")]
    pages.append(address(embedding, "0" * 32 + ":no"))

    for response in map(client.get, pages):
        assert f"frame-ancestors {SHOP}" in policy(response)
        assert {"default-src 'none'", "script-src 'self'", "style-src 'self'"} <= policy(response)
        assert "X-Frame-Options" not in response
    for other in ("/", "/models/iris/", "/embed/nothing/", MANAGE):
        response = client.get(other)
        assert response["X-Frame-Options"] == "DENY"
        assert "text/html" not in response["Content-Type"] or "frame-ancestors 'none'" in policy(response)


def test_question_without_cookies_is_answered_without_cookies(
    embedding: Embedding, iris: ModelVersion, settings: Any
) -> None:
    client = Client(enforce_csrf_checks=True)
    form = client.get(address(embedding))
    sent = client.post(address(embedding), Page(form).values() | FORM)

    assert sent.status_code == 303
    waiting = client.get(sent["Location"])
    assert Page(waiting).one("section", data_state="queued")
    [refresh] = Page(waiting).all("meta", http_equiv="refresh")
    assert f"url={sent['Location']}?attempt=1" in refresh["content"]
    run_worker(iris)
    told = client.get(sent["Location"])
    assert "setosa" in Page(told).text
    assert Page(told).all("meta", http_equiv="refresh") == []
    for response in (form, sent, waiting, told):
        assert response.cookies == {}
        assert "Cookie" not in response.get("Vary", "")


def test_cookies_of_a_visitor_who_is_signed_in_are_not_read(
    embedding: Embedding, iris: ModelVersion, stranger: User
) -> None:
    client = signed_in(stranger)
    client.get("/models/iris/")
    assert COOKIE not in client.cookies

    response = client.post(address(embedding), FORM)

    row = Prediction.objects.get()
    assert (row.owner, row.caller, row.source) == (None, f"embed:{embedding.pk}", Source.FORM)
    assert row.address is not None
    assert response.cookies == {}
    assert "stranger" not in client.get(address(embedding)).content.decode()


def test_htmx_gets_the_status_fragment_which_polls_until_the_end(
    client: Client, embedding: Embedding, iris: ModelVersion
) -> None:
    response = client.post(address(embedding), FORM, headers=HTMX)

    row = Prediction.objects.get()
    sealed = seal(embedding, row.pk)
    assert response.status_code == 202
    assert "HX-Push-Url" not in response
    element = Page(response).one("section", id=f"prediction-{row.pk}")
    assert element["hx-get"] == address(embedding, sealed, "status/?attempt=1")
    run_worker(iris)
    ended = client.get(element["hx-get"], headers=HTMX)
    assert (ended.status_code, ended["Cache-Control"].count("no-store")) == (286, 1)
    assert "hx-get" not in Page(ended).one("section", id=f"prediction-{row.pk}")
    assert Page(ended).all("form") == []
    links = [link["href"] for link in Page(ended).all("a")]
    assert all(link.startswith((f"/embed/{embedding.key}/", "#")) for link in links)
    again = next(link for link in links if "?from=" in link)
    assert Page(client.get(again)).values()["petal width (cm)"] == "0.2"


def test_page_that_has_asked_often_stops(
    client: Client, embedding: Embedding, iris: ModelVersion, settings: Any
) -> None:
    settings.POLL_ATTEMPTS = 3
    sealed = seal(embedding, asked(embedding, iris, State.RUNNING).pk)

    response = client.get(address(embedding, sealed, "?attempt=3"))

    assert Page(response).all("meta", http_equiv="refresh") == []
    assert Page(response).one("a", hx_get=address(embedding, sealed, "status/?attempt=0"))


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_invalid_values_are_422_and_stay_in_the_form(
    client: Client, embedding: Embedding, headers: dict[str, str]
) -> None:
    response = client.post(address(embedding), FORM | {"petal width (cm)": "wide"}, headers=headers)

    assert response.status_code == 422
    assert ("HX-Retarget" in response) is bool(headers)
    assert Page(response).values()["petal width (cm)"] == "wide"
    assert "1 value needs another look" in Page(response).text


def test_double_click_asks_once_and_other_values_ask_again(client: Client, embedding: Embedding) -> None:
    values = Page(client.get(address(embedding))).values() | FORM

    first, second = (client.post(address(embedding), values)["Location"] for _ in range(2))
    third = client.post(address(embedding), values | {"petal width (cm)": "0.3"})["Location"]

    assert first == second
    assert first != third
    assert Prediction.objects.count() == 2


# --- Results ----------------------------------------------------------------------------------------------------------
def test_address_of_a_result_cannot_be_guessed_or_taken_elsewhere(
    client: Client, embedding: Embedding, iris: ModelVersion, owner: User
) -> None:
    other = Embedding.objects.create(user=owner, registered_model=iris.registered_model, origin="https://b.org")
    mine, theirs, of_nobody = asked(embedding, iris), asked(other, iris), make(iris, State.SUCCEEDED)
    tried = [seal(other, mine.pk), seal(embedding, theirs.pk), seal(embedding, of_nobody.pk), mine.pk.hex, "x:y"]

    for sealed in tried:
        assert client.get(address(embedding, sealed)).status_code == 404
        assert client.get(address(embedding, sealed, "status/")).status_code == 404
    assert client.get(address(embedding, seal(embedding, mine.pk))).status_code == 200


def test_removed_result_is_410_in_the_frame(client: Client, embedding: Embedding, iris: ModelVersion) -> None:
    row = asked(embedding, iris)
    retention.remove(Prediction.objects.filter(pk=row.pk), 5.0)

    response = client.get(address(embedding, seal(embedding, row.pk)))

    assert response.status_code == 410
    assert f"frame-ancestors {SHOP}" in policy(response)
    assert Page(response).one("a", href=address(embedding))


# --- Limits -----------------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("clean_redis")
def test_rate_holds_for_the_address_and_for_the_embedding(
    client: Client, embedding: Embedding, iris: ModelVersion, owner: User, settings: Any
) -> None:
    settings.SUBMIT_RATE = "2/minute"
    other = Embedding.objects.create(user=owner, registered_model=iris.registered_model, origin="https://b.org")

    def status(place: Embedding, remote: str) -> int:
        return client.post(address(place), FORM, REMOTE_ADDR=remote).status_code

    assert [status(embedding, "198.51.100.1") for _ in range(2)] == [303, 303]
    assert status(other, "198.51.100.1") == 429  # the same address
    assert status(embedding, "198.51.100.2") == 429  # the same embedding
    assert status(other, "198.51.100.2") == 303
    refused = client.post(address(embedding), FORM, REMOTE_ADDR="198.51.100.3")
    assert int(refused["Retry-After"]) > 0
    assert Page(refused).values()["petal width (cm)"] == "0.2"


def test_full_queue_is_503_with_the_values_kept(
    client: Client, embedding: Embedding, iris: ModelVersion, settings: Any
) -> None:
    settings.MAX_QUEUED = 1
    make(iris, State.QUEUED)

    response = client.post(address(embedding), FORM)

    assert response.status_code == 503
    assert Page(response).values()["petal width (cm)"] == "0.2"


@pytest.mark.parametrize("reason", ["paused", "no version"])
def test_model_that_does_not_serve_says_so_in_the_frame(
    client: Client, embedding: Embedding, iris: ModelVersion, reason: str
) -> None:
    model = iris.registered_model
    model.paused_reason = "We measure anew." if reason == "paused" else ""
    if reason == "no version":
        model.champion = None
    model.save()

    for response, status in ((client.get(address(embedding)), 200), (client.post(address(embedding), FORM), 503)):
        assert response.status_code == status
        assert "does not answer just now" in Page(response).text
        assert f"frame-ancestors {SHOP}" in policy(response)
