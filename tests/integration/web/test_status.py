"""The status fragment and the page of a prediction: the texts of each state, and the end of polling."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.utils import timezone

from predictions.lifecycle import registry
from predictions.models import ModelVersion, Prediction, RegisteredModel, State
from predictions.models.states import TERMINAL
from predictions.web.visitors import COOKIE, visitor_of
from tests.integration.conftest import SETOSA, make, signed_in
from tests.integration.web.conftest import Page
from tests.support.site_client import Client

HTMX = {"HX-Request": "true"}
UNFINISHED = sorted(set(State) - TERMINAL)
POLLING = {"hx-get", "hx-trigger", "hx-swap"}


def status(row: Prediction, query: str = "") -> str:
    return f"/predictions/{row.pk}/status/{query}"


def fragment(response: Any, row: Prediction) -> dict[str, str]:
    return Page(response).one("section", id=f"prediction-{row.pk}")


@pytest.mark.parametrize("state", UNFINISHED)
def test_status_of_an_unfinished_prediction_asks_again(client: Client, iris: ModelVersion, state: State) -> None:
    row = make(iris, state)

    response = client.get(status(row, "?attempt=4"), headers=HTMX)

    element = fragment(response, row)
    assert response.status_code == 200
    assert element["data-state"] == state
    assert element["hx-get"] == status(row, "?attempt=5")
    assert element["hx-swap"] == "outerHTML"
    found = re.fullmatch(r"every (\d+)ms", element["hx-trigger"])
    assert found
    assert 400 <= int(found[1]) <= 700  # 100 ms, half as long again each time, more or less a fifth
    assert Page(response).all("html") == []


@pytest.mark.parametrize("state", sorted(TERMINAL))
@pytest.mark.parametrize(("headers", "code"), [(HTMX, 286), ({}, 200)])
def test_status_of_an_ended_prediction_asks_no_more(
    client: Client, iris: ModelVersion, state: State, headers: Any, code: int
) -> None:
    row = make(iris, state)

    response = client.get(status(row, "?attempt=4"), headers=headers)

    element = fragment(response, row)
    assert (response.status_code, element["data-state"]) == (code, state)
    assert element.keys() & POLLING == set()
    assert "aria-busy" not in element


@pytest.mark.parametrize("state", State.values)
def test_status_fragment_is_not_cacheable(client: Client, iris: ModelVersion, state: State) -> None:
    response = client.get(status(make(iris, state)), headers=HTMX)

    assert "no-store" in response["Cache-Control"]
    assert "HX-Request" in response["Vary"]


def test_status_past_the_cap_offers_a_button_and_asks_no_more(
    client: Client, iris: ModelVersion, settings: Any
) -> None:
    settings.POLL_ATTEMPTS = 3
    row = make(iris)

    last = fragment(client.get(status(row, "?attempt=2"), headers=HTMX), row)
    response = client.get(last["hx-get"], headers=HTMX)

    page, element = Page(response), fragment(response, row)
    assert (response.status_code, element["data-state"]) == (200, "queued")
    assert element.keys() & POLLING == set()
    assert page.one("a", id=f"again-{row.pk}")["hx-get"] == status(row, "?attempt=0")
    assert "The work goes on until " in page.text
    assert "and this address keeps the result." in page.text
    assert "Failed" not in page.text
    again = fragment(client.get(status(row, "?attempt=0"), headers=HTMX), row)
    assert again["hx-get"] == status(row, "?attempt=1")


@pytest.mark.parametrize("attempt", ["", "x", "-1", "1.5", "²", "9" * 5000, "1" * 8])
def test_invalid_attempt_counts_as_the_first(client: Client, iris: ModelVersion, attempt: str) -> None:
    assert client.get(status(make(iris), f"?attempt={attempt}")).status_code == 200


def test_status_of_an_unknown_prediction_is_404(client: Client, iris: ModelVersion) -> None:
    row = make(iris)
    Prediction.objects.all().delete()

    assert client.get(status(row), headers=HTMX).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_status_says_what_the_row_says(client: Client, iris: ModelVersion) -> None:
    row = make(iris)
    states = []
    for change in ("claim", "cancel"):
        states.append(fragment(client.get(status(row)), row)["data-state"])
        if change == "claim":
            Prediction.objects.claim("interactive", 1)
        else:
            Prediction.objects.filter(pk=row.pk).cancel()
    states.append(fragment(client.get(status(row)), row)["data-state"])

    assert states == ["queued", "running", "canceled"]


# --- The page ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("state", State.values)
def test_page_holds_the_same_fragment(client: Client, iris: ModelVersion, state: State) -> None:
    row = make(iris, state)

    page = Page(client.get(f"/predictions/{row.pk}/"))

    element = page.one("section", id=f"prediction-{row.pk}")
    assert element["data-state"] == state
    assert ("hx-get" in element) == (state in UNFINISHED)
    assert "no-store" in client.get(f"/predictions/{row.pk}/")["Cache-Control"]


def test_page_without_javascript_reloads_itself_up_to_the_cap(
    client: Client, iris: ModelVersion, settings: Any
) -> None:
    settings.POLL_ATTEMPTS = 3
    row = make(iris)
    address, seen = f"/predictions/{row.pk}/", []
    while found := Page(client.get(address)).all("meta", http_equiv="refresh"):
        seconds, address = found[0]["content"].split(";url=")
        seen.append((int(seconds) >= 1, address))

    assert seen == [(True, f"/predictions/{row.pk}/?attempt={n}") for n in (1, 2, 3)]


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_page_of_an_ended_prediction_does_not_reload(client: Client, iris: ModelVersion, state: State) -> None:
    row = make(iris, state)

    assert Page(client.get(f"/predictions/{row.pk}/")).all("meta", http_equiv="refresh") == []


def test_page_shows_the_answer_and_how_sure_it_is(client: Client, iris: ModelVersion) -> None:
    output = {**SETOSA, "grade": "clear", "grade_evidence": {"right": 152, "of": 154}}

    text = Page(client.get(f"/predictions/{make(iris, State.SUCCEEDED, output=output).pk}/")).text

    for part in ("setosa", "90.0 %", "7.0 %", "A clear case: only setosa fits.", "right in 152 of 154 cases"):
        assert part in text


def test_page_of_an_answer_outside_warns_before_the_value(client: Client, iris: ModelVersion) -> None:
    output = {**SETOSA, "grade": "outside", "prediction_set": None, "coverage": None}

    address = f"/predictions/{make(iris, State.SUCCEEDED, output=output).pk}/"
    page, result = Page(client.get(address)).text, Page(client.get(f"{address}status/")).text

    assert page.index("outside its experience") < page.index("setosa")
    assert result.index("Do not rely on this answer") < result.index("setosa")


def test_fragment_is_whole_so_that_a_kept_page_finishes_itself(client: Client, iris: ModelVersion) -> None:
    """The fragment that a poll gets includes the title, the times and the feedback form."""
    values = dict(zip(iris.signature.names, ["1", "1", "1", "1"], strict=True))
    client.post("/models/iris/predictions/", values)
    row = make(iris, State.SUCCEEDED, caller=Prediction.objects.get().caller)

    response = client.get(status(row), headers=HTMX)

    page = Page(response)
    assert fragment(response, row)["data-title"] == "setosa · Iris species · Foretell"
    assert len(page.all("form", action=f"/predictions/{row.pk}/feedback/")) == 1
    assert len(page.all("time")) == 3
    assert page.elements[0][0] == "section"


@pytest.mark.parametrize("state", list(State))
def test_stranger_with_the_link_can_only_look(client: Client, iris: ModelVersion, state: State) -> None:
    row = make(iris, state)

    page = Page(client.get(f"/predictions/{row.pk}/"))

    actions = {form["action"].split("/")[-2] for form in page.all("form") if str(row.pk) in form["action"]}
    assert actions <= {"retry"}
    assert "Everyone who has its link can see it." in page.text


def test_failure_that_the_same_values_would_repeat_offers_other_values(client: Client, iris: ModelVersion) -> None:
    row = make(iris, State.FAILED)

    page = Page(client.get(f"/predictions/{row.pk}/"))

    assert page.all("form", action=f"/predictions/{row.pk}/retry/") == []
    assert "Change the values" in page.text
    assert "Try again" not in page.text


def test_page_that_is_capped_says_since_when_workers_are_late(client: Client, iris: ModelVersion) -> None:
    row = make(iris)
    address = f"/predictions/{row.pk}/?attempt=9999"
    assert "late since" not in Page(client.get(address)).text
    # Late in its second: the page subtracts from a time that may be a little before that of the database.
    sent = (timezone.now() - timedelta(seconds=90)).replace(microsecond=900_000)
    late = make(iris, caller="canary", source="canary", created_at=sent)

    text = Page(client.get(address)).text

    assert f"The workers are late since {late.created_at:%H:%M:%S} UTC." in text


def test_page_of_a_failed_prediction_shows_its_sentence_and_code_only(client: Client, iris: ModelVersion) -> None:
    page = Page(client.get(f"/predictions/{make(iris, State.FAILED).pk}/"))

    assert "The model could not give an answer for these values." in page.text
    assert "model_error" in page.text
    assert "Traceback" not in page.text


def test_page_shows_values_as_text(client: Client, kinds: RegisteredModel) -> None:
    assert kinds.champion
    row = make(kinds.champion, values=[1.0, 1, "r", True, "<script>alert(2)</script>", None])

    response = client.get(f"/predictions/{row.pk}/")

    assert b"<script>alert" not in response.content
    text = Page(response).text
    assert "<script>alert(2)</script>" in text
    assert "Red <i>" in text


# --- Whose ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("end", "method"), [("", "get"), ("status/", "get"), ("cancel/", "post"), ("retry/", "post"), ("feedback/", "post")]
)
def test_prediction_of_another_user_is_404(
    client: Client, iris: ModelVersion, owner: User, stranger: User, end: str, method: str
) -> None:
    row = make(iris, owner=owner)

    for visitor in (client, signed_in(stranger)):
        assert getattr(visitor, method)(f"/predictions/{row.pk}/{end}").status_code == 404
    row.refresh_from_db()
    assert (row.state, Prediction.objects.count()) == (State.QUEUED, 1)


def test_prediction_is_seen_by_its_owner_and_by_analysts(iris: ModelVersion, owner: User, analyst: User) -> None:
    row = make(iris, owner=owner)

    for user in (owner, analyst):
        assert signed_in(user).get(f"/predictions/{row.pk}/").status_code == 200


@pytest.mark.parametrize("address", ["/predictions/", "/models/iris/"])
def test_sign_in_comes_first_where_predictions_are_not_public(
    client: Client, iris: ModelVersion, settings: Any, address: str
) -> None:
    settings.PUBLIC_PREDICTIONS = False

    assert client.get(address)["Location"] == f"/accounts/login/?next={address}"
    fragment = client.get(address, headers=HTMX)
    assert (fragment.status_code, fragment["HX-Redirect"]) == (200, f"/accounts/login/?next={address}")


def asker_of(client: Client) -> str:
    """Give the client the cookie of a new visitor. Returns the visitor's caller key."""
    client.get("/models/iris/")
    request = HttpRequest()
    request.COOKIES = {COOKIE: client.cookies[COOKIE].value}
    return f"visitor:{visitor_of(request)}"


@pytest.mark.parametrize("action", ["cancel", "feedback"])
def test_link_of_another_visitors_prediction_changes_nothing(client: Client, iris: ModelVersion, action: str) -> None:
    row = make(iris, State.SUCCEEDED if action == "feedback" else State.QUEUED)

    response = client.post(f"/predictions/{row.pk}/{action}/", {"was_right": "yes"})

    assert response.status_code == 403
    assert "only the person who asked for it can change it" in Page(response).text
    row.refresh_from_db()
    assert row.state != State.CANCELED


# --- Cancel and retry -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("state", UNFINISHED)
def test_cancel_ends_it_and_returns_to_its_page(client: Client, iris: ModelVersion, state: State) -> None:
    row = make(iris, state, caller=asker_of(client))

    response = client.post(f"/predictions/{row.pk}/cancel/")

    assert (response.status_code, response["Location"]) == (302, f"/predictions/{row.pk}/")
    row.refresh_from_db()
    assert row.state == State.CANCELED


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_cancel_of_what_has_ended_says_so(client: Client, iris: ModelVersion, state: State) -> None:
    row = make(iris, state, caller=asker_of(client))

    response = client.post(f"/predictions/{row.pk}/cancel/", follow=True)

    assert "The prediction has already ended; there is nothing to cancel." in Page(response).text
    row.refresh_from_db()
    assert row.state == state


@pytest.mark.parametrize("action", ["cancel", "retry", "feedback"])
def test_changes_are_not_made_by_get(client: Client, iris: ModelVersion, action: str) -> None:
    assert client.get(f"/predictions/{make(iris).pk}/{action}/").status_code == 405


def test_cancel_wakes_waiting_requests(client: Client, iris: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    announced: list[Any] = []
    monkeypatch.setattr("predictions.queue.completions.announce", lambda ids: announced.extend(ids))
    row = make(iris, caller=asker_of(client))

    client.post(f"/predictions/{row.pk}/cancel/")

    assert announced == [row.pk]


def test_retry_asks_the_version_that_serves_now(client: Client, iris: ModelVersion) -> None:
    row = make(iris, State.FAILED)
    registry.version(iris.pk)
    newer = ModelVersion.objects.create(
        registered_model=iris.registered_model,
        number=2,
        sha256="1" * 64,
        manifest=iris.manifest,
        created_at=iris.created_at,
    )
    RegisteredModel.objects.get(name="iris").promote(newer)
    registry._models.clear()  # as a second later

    response = client.post(f"/predictions/{row.pk}/retry/")

    again = Prediction.objects.exclude(pk=row.pk).get()
    assert (response.status_code, response["Location"]) == (302, f"/predictions/{again.pk}/")
    assert (again.version, again.values, again.state) == (newer, row.values, State.QUEUED)


def test_retry_when_no_version_serves_says_so(client: Client, iris: ModelVersion) -> None:
    row = make(iris, State.FAILED)
    ModelVersion.objects.mark_unavailable(iris.pk, "broken")
    registry.clear_cache()

    response = client.post(f"/predictions/{row.pk}/retry/", follow=True)

    assert "This model cannot answer at the moment." in Page(response).text
    assert Prediction.objects.count() == 1


def test_retry_of_a_model_that_is_gone_says_so(client: Client, iris: ModelVersion) -> None:
    row = make(iris, State.FAILED)
    RegisteredModel.objects.update(is_present=False)
    registry.clear_cache()

    response = client.post(f"/predictions/{row.pk}/retry/", follow=True)

    assert "This model cannot answer at the moment." in Page(response).text
    assert Prediction.objects.count() == 1


def test_retry_while_the_queue_is_full_says_so(client: Client, iris: ModelVersion, settings: Any) -> None:
    settings.MAX_QUEUED = 1
    make(iris)
    row = make(iris, State.FAILED)

    response = client.post(f"/predictions/{row.pk}/retry/", follow=True)

    assert "Too many predictions are waiting at the moment. Try again shortly." in Page(response).text


# --- Mine -------------------------------------------------------------------------------------------------------------
def test_mine_lists_what_this_visitor_asked(client: Client, iris: ModelVersion) -> None:
    values = dict(zip(iris.signature.names, ["1", "1", "1", "1"], strict=True))
    for _ in range(2):
        client.post("/models/iris/predictions/", values)

    links = [a["href"] for a in Page(client.get("/predictions/")).all("a", class_="record-link")]

    assert links == [f"/predictions/{row.pk}/" for row in Prediction.objects.order_by("-created_at")]
    assert Page(Client().get("/predictions/")).all("a", class_="record-link") == []


def test_mine_does_not_show_what_others_behind_the_same_address_asked(iris: ModelVersion) -> None:
    program, person = Client(REMOTE_ADDR="10.1.1.1"), Client(REMOTE_ADDR="10.1.1.1")
    program.post("/api/v1/models/iris/predictions/", '{"features": [1,1,1,1]}', content_type="application/json")
    assert Prediction.objects.count() == 1

    assert Page(person.get("/predictions/")).all("a", class_="record-link") == []


@pytest.mark.parametrize("page", ["", "1", "2", "x", "-1", "9" * 30])
def test_mine_comes_in_pages(iris: ModelVersion, owner: User, page: str) -> None:
    for age in range(51):
        make(iris, owner=owner, caller=f"user:{owner.pk}", age=age)

    links = Page(signed_in(owner).get(f"/predictions/?page={page}")).all("a", class_="record-link")

    assert len(links) == (1 if page in ("2", "-1", "9" * 30) else 50)
