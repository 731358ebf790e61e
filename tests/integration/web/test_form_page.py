"""Predictions by the form page: fields for each kind of feature, with htmx and without JavaScript."""

import re
from html import unescape
from typing import Any

import pytest

from predictions.lifecycle import registry
from predictions.models import ModelVersion, Prediction, RegisteredModel, Source, State
from predictions.web.visitors import COOKIE
from tests.integration.conftest import IRIS, make
from tests.integration.web.conftest import Page
from tests.support.site_client import Client

ASK = "/models/kinds/predictions/"
HTMX = {"HX-Request": "true"}
GOOD = {"long side": "40.5", "count": "2", "colour": "g", "ripe": "true", "note": "it's", "a/b~c": ""}
VALUES = [40.5, 2, "g", True, "it's", None]

pytestmark = pytest.mark.django_db(transaction=True)


def _letters(names: str) -> list[list[str]]:
    return [[name, name.upper()] for name in names]


def test_home_shows_each_model_and_how_good_it_is(client: Client, kinds: RegisteredModel) -> None:
    page = Page(client.get("/"))

    links = [a["href"] for a in page.all("a", class_="card-link")]
    assert sorted(links) == [f"/models/{n}/" for n in ("breast-cancer", "diabetes", "iris", "kinds", "wine")]
    assert "Fruit <b>sizes</b>" in page.text


def test_home_without_models_says_what_to_do(client: Client) -> None:
    assert "No model serves yet" in Page(client.get("/")).text


def test_form_has_a_field_for_each_feature(client: Client, kinds: RegisteredModel) -> None:
    page = Page(client.get("/models/kinds/"))

    form = page.one("form", id="prediction-form")
    assert (form["method"], form["action"], form["hx-post"]) == ("post", ASK, ASK)
    size = page.one("input", name="long side")
    assert (size["type"], size["inputmode"], size["data-unit"]) == ("text", "decimal", "mm")
    assert page.one("input", name="a/b~c")["inputmode"] == "text"  # a phone's decimal keypad has no minus
    assert [o["value"] for o in page.all("option")] == ["", "r", "g", "", "true", "false"]
    assert page.one("input", name="note")["type"] == "text"
    ids = [f["id"] for _, f in page.elements if "id" in f]
    assert len(ids) == len(set(ids))
    assert not any(" " in found for found in ids)


def test_form_starts_empty_and_shows_typical_values_as_placeholders(client: Client, kinds: RegisteredModel) -> None:
    page = Page(client.get("/models/kinds/"))

    values = page.values()
    assert {name: values.get(name, "") for name in GOOD} == dict.fromkeys(GOOD, "")
    assert page.one("input", name="count")["placeholder"] == "e.g. 3"


def test_untouched_form_is_422_with_a_message_at_each_required_field(client: Client, kinds: RegisteredModel) -> None:
    response = client.post(ASK, Page(client.get("/models/kinds/")).values())

    assert response.status_code == 422
    assert Page(response).text.count("Please fill this in.") == 2 * 4


def test_form_shows_words_of_the_model_as_text(client: Client, kinds: RegisteredModel) -> None:
    response = client.get("/models/kinds/")

    assert b"<script>alert(1)" not in response.content
    assert b"<b>sizes" not in response.content
    assert b"Red <i>" not in response.content
    assert "Colour <script>alert(1)</script>" in Page(response).text


def test_example_fills_the_form(client: Client, kinds: RegisteredModel) -> None:
    values = Page(client.get("/models/kinds/?example=1")).values()

    assert {name: values.get(name) for name in ("long side", "count", "colour", "ripe", "note", "a/b~c")} == {
        "long side": "40.5",
        "count": "2",
        "colour": "g",
        "ripe": "true",
        "note": 'it\'s "fine" <b>',
        "a/b~c": "",
    }


@pytest.mark.parametrize(
    "query", ["example=0", "example=2", "example=x", "example=²", "example=" + "1" * 5000, "from=x", "from="]
)
def test_example_that_is_not_there_leaves_the_form_as_it_is(client: Client, kinds: RegisteredModel, query: str) -> None:
    values = Page(client.get(f"/models/kinds/?{query}")).values()

    assert (values["long side"], values["count"]) == ("", "")


def test_from_an_earlier_prediction_fills_the_form(client: Client, kinds: RegisteredModel) -> None:
    assert kinds.champion
    row = make(kinds.champion, values=[7.25, 1, "r", False, None, 0.5])

    values = Page(client.get(f"/models/kinds/?from={row.pk}")).values()

    assert (values["long side"], values["count"], values["colour"], values["a/b~c"]) == ("7.25", "1", "r", "0.5")
    assert values["ripe"] == "false"


def test_from_a_prediction_of_somebody_else_or_of_another_model_fills_nothing(
    client: Client, kinds: RegisteredModel, iris: ModelVersion, owner: Any
) -> None:
    assert kinds.champion
    for row in (make(kinds.champion, values=VALUES, owner=owner), make(iris)):
        assert Page(client.get(f"/models/kinds/?from={row.pk}")).values()["long side"] == ""


def test_last_values_of_a_caller_are_offered_and_filled_in(
    client: Client, kinds: RegisteredModel, iris: ModelVersion
) -> None:
    assert kinds.champion
    make(kinds.champion, values=VALUES)
    assert "Fill in my last values" not in Page(client.get("/models/kinds/")).text
    for size in ("7.25", "8.5"):
        client.post(ASK, GOOD | {"long side": size})

    assert [a["href"] for a in Page(client.get("/models/kinds/")).all("a", href="?from=last")] == ["?from=last"]
    response = client.get("/models/kinds/?from=last")

    assert (Page(response).values()["long side"], Page(response).values()["colour"]) == ("8.5", "g")
    assert "no-store" in response["Cache-Control"]
    assert "Fill in my last values" not in Page(client.get("/models/iris/")).text
    stranger = Client()
    assert Page(stranger.get("/models/kinds/?from=last")).values()["long side"] == ""


def test_form_of_a_version_without_a_profile_is_shown(client: Client, kinds: RegisteredModel) -> None:
    """A version that was registered without its training data has no profile."""
    assert kinds.champion
    kinds.champion.manifest["profile"] = {}
    kinds.champion.save()
    registry.clear_cache()

    assert client.get("/models/kinds/").status_code == 200
    assert client.post(ASK, GOOD).status_code == 303


def test_remarks_of_a_version_are_shown_where_it_is_described(client: Client, kinds: RegisteredModel) -> None:
    assert kinds.champion
    remark = "Each row is predicted by a call of its own."
    kinds.champion.manifest["remarks"] = [remark]
    kinds.champion.save()
    registry.clear_cache()

    for page in ("", "card/"):
        assert remark in Page(client.get(f"/models/kinds/{page}")).text


@pytest.mark.parametrize("name", ["kinds", "iris", "diabetes", "breast-cancer"])
@pytest.mark.parametrize("page", ["card/", "api/", ""])
def test_pages_of_a_model_are_small(client: Client, kinds: RegisteredModel, name: str, page: str) -> None:
    response = client.get(f"/models/{name}/{page}")

    assert response.status_code == 200
    assert Page(response).elements
    assert len(response.content) < 150_000


def test_reference_names_each_error_and_its_sentence(client: Client, kinds: RegisteredModel) -> None:
    page = Page(client.get("/models/kinds/api/"))

    assert "queue_full" in page.text
    assert "Too many predictions are waiting at the moment." in page.text


@pytest.mark.parametrize(
    ("feature", "text"),
    [
        ({"kind": "integer", "minimum": 0, "maximum": 1234567}, "integer from 0 to 1234567"),
        ({"kind": "number", "maximum": 0.12345678}, "number to 0.12345678"),
        ({"kind": "number", "minimum": -500.0}, "number from -500"),
        ({"kind": "choice", "choices": _letters("abcdefgh")}, 'one of "a", "b", "c", "d", "e", "f", "g", "h"'),
        (
            {"kind": "choice", "choices": _letters("abcdefghij")},
            'one of "a", "b", "c", "d", "e", "f", "g", "h", and 2 more',
        ),
        (
            {"kind": "choice", "choices": _letters("abcdefghi"), "required": False},
            'one of "a", "b", "c", "d", "e", "f", "g", "h", null, and 1 more',
        ),
        ({"kind": "choice", "choices": [[1, "one"], [2, "two"]], "required": False}, "one of 1, 2, null"),
    ],
)
def test_reference_says_what_a_value_may_be(
    client: Client, kinds: RegisteredModel, feature: dict[str, Any], text: str
) -> None:
    version = kinds.champion
    assert version
    version.manifest["signature"] = [{"name": "given", **feature}]
    version.save()
    registry.clear_cache()

    page = client.get("/models/kinds/api/").content.decode()
    line = page.partition("<code>given</code>")[2].partition("</tr>")[0]
    words = re.sub(r"<.*?>", " ", unescape(line)).split()
    assert " ".join(words[:-1]) == text  # the last word says whether the value is required


# --- A matrix ---------------------------------------------------------------------------------------------------------
def test_features_of_a_matrix_stand_in_it_once_and_the_others_in_their_groups(
    client: Client, registered: dict[str, RegisteredModel]
) -> None:
    model = registered["iris"]
    model.description["matrix"] = {
        "columns": ["Length", "Width"],
        "rows": [{"title": "Sepal", "help": "Of the sepal.", "features": ["sepal length (cm)", ""]}],
    }
    model.save()
    registry.clear_cache()

    page = Page(client.get("/models/iris/"))

    names = [field["name"] for field in page.all("input", type="text") if "data-order" in field]
    assert names == ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
    assert page.one("div", role="group", aria_label="Sepal")
    assert "Of the sepal." in page.text


# --- Asking -----------------------------------------------------------------------------------------------------------
def test_plain_post_answers_303_to_the_prediction(client: Client, kinds: RegisteredModel) -> None:
    response = client.post(ASK, GOOD)

    row = Prediction.objects.get()
    assert (response.status_code, response["Location"]) == (303, f"/predictions/{row.pk}/")
    assert (row.values, row.source, row.owner, row.state) == (VALUES, Source.FORM, None, State.QUEUED)
    assert row.caller.startswith("visitor:")
    assert client.get(response["Location"]).status_code == 200


def test_htmx_post_answers_202_with_the_status_and_its_address(client: Client, kinds: RegisteredModel) -> None:
    response = client.post(ASK, GOOD, headers=HTMX)

    row = Prediction.objects.get()
    assert (response.status_code, response["HX-Push-Url"]) == (202, f"/predictions/{row.pk}/")
    assert Page(response).one("section", id=f"prediction-{row.pk}")["data-state"] == "queued"


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_bad_input_answers_422_with_every_message_and_the_values_kept(
    client: Client, kinds: RegisteredModel, headers: Any
) -> None:
    sent = {"long side": "-1", "count": "many", "colour": "", "note": "<b>x", "a/b~c": "2"}

    response = client.post(ASK, sent, headers=headers)

    page = Page(response)
    assert response.status_code == 422
    values = page.values()
    assert {name: values.get(name, "") for name in sent} == sent
    problems = [element["id"] for _, element in page.elements if element.get("id", "").endswith("_error")]
    assert len(problems) == 5
    for message, fields in (
        ("Must be at least 0 (mm).", 1),
        ("“many” is not a number. Use digits, for example 12.5.", 1),
        ("Please fill this in.", 2),
        ("Must be at most 1.", 1),
    ):
        assert page.text.count(message) == 2 * fields  # in the list on top, and at its field
    targets = [a["href"][1:] for a in page.all("a") if a["href"].startswith("#id_")]
    assert len(targets) == 5
    assert all([element for _, element in page.elements if element.get("id") == target] for target in targets)
    assert bool(page.all("html")) == (not headers)
    assert (response.get("HX-Retarget"), response.get("HX-Reswap")) == (
        ("#prediction-form", "outerHTML") if headers else (None, None)
    )
    assert Prediction.objects.count() == 0


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999", "1,500", "0x10", "9" * 5000, "\0", " ", "--1"])
def test_text_that_is_not_a_number_is_422_and_kept(client: Client, kinds: RegisteredModel, number: str) -> None:
    for name in ("long side", "count"):
        response = client.post(ASK, {**GOOD, name: number})
        assert response.status_code == 422
        assert Page(response).values()[name] == number


@pytest.mark.parametrize(
    ("text", "value"),
    [("12,5", 12.5), ("0,25", 0.25), ("1 34,5", None), ("\u00a012.5 mm", 12.5), ("1e-3", 0.001), ("1,5e2", 150.0)],
)
def test_number_is_kept_as_it_was_meant(client: Client, kinds: RegisteredModel, text: str, value: float | None) -> None:
    response = client.post(ASK, {**GOOD, "long side": text})

    assert response.status_code == (422 if value is None else 303)
    assert [row.values[0] for row in Prediction.objects.all()] == ([] if value is None else [value])


@pytest.mark.parametrize(("text", "status"), [("2", 303), ("2,0", 303), ("2.5", 422), ("1,000", 422)])
def test_whole_number_is_not_rounded(client: Client, kinds: RegisteredModel, text: str, status: int) -> None:
    assert client.post(ASK, {**GOOD, "count": text}).status_code == status
    assert [row.values[1] for row in Prediction.objects.all()] == [2] * (status == 303)


def test_fields_that_the_form_does_not_have_are_ignored(client: Client, kinds: RegisteredModel) -> None:
    assert client.post(ASK, {**GOOD, "more": "x"}).status_code == 303


# --- Kinds of features ------------------------------------------------------------------------------------------------
def describe(version: ModelVersion | None, *features: dict[str, Any]) -> None:
    """Replace the features of a version by these."""
    assert version
    version.manifest["signature"] = list(features)
    version.manifest["profile"] = {}
    version.save()
    registry.clear_cache()


def asked(client: Client, sent: dict[str, str]) -> Any:
    """Submit a form. Returns the values of its prediction; None if the form is refused."""
    response = client.post(ASK, sent)
    row = Prediction.objects.first()
    assert response.status_code == (303 if row else 422)
    return row.values if row else None


@pytest.mark.parametrize(("sent", "value"), [("", None), ("true", True), ("false", False)])
def test_optional_yes_or_no_has_three_answers(
    client: Client, kinds: RegisteredModel, sent: str, value: bool | None
) -> None:
    describe(kinds.champion, {"kind": "boolean", "name": "smoker", "required": False})

    assert asked(client, {"smoker": sent}) == [value]
    assert "Not known" in Page(client.get("/models/kinds/")).text


def test_required_yes_or_no_that_is_open_is_not_a_no(client: Client, kinds: RegisteredModel) -> None:
    describe(kinds.champion, {"kind": "boolean", "name": "smoker"})

    assert asked(client, {"smoker": ""}) is None


@pytest.mark.parametrize(
    ("sent", "value"), [("(empty)", ""), (" ?", " ?"), ("State ", "State "), ("", None), ("?", None)]
)
def test_empty_text_and_spaces_can_be_choices(
    client: Client, kinds: RegisteredModel, sent: str, value: str | None
) -> None:
    choices = [[" ?", " ?"], ["", ""], ["State ", "State "]]
    describe(kinds.champion, {"kind": "choice", "name": "work", "choices": choices})

    assert asked(client, {"work": sent}) == (None if value is None else [value])


def test_prediction_with_the_empty_choice_fills_the_form(client: Client, kinds: RegisteredModel) -> None:
    describe(kinds.champion, {"kind": "choice", "name": "work", "choices": [["", "not said"], ["a", "A"]]})
    assert kinds.champion
    row = make(kinds.champion, values=[""])

    assert Page(client.get(f"/models/kinds/?from={row.pk}")).values()["work"] == "(empty)"


def test_text_keeps_its_lines(client: Client, kinds: RegisteredModel) -> None:
    describe(kinds.champion, {"kind": "text", "name": "message", "max_length": 2000})

    assert asked(client, {"message": " it broke,\r\nmoney gone "}) == [" it broke,\nmoney gone "]
    assert Page(client.get("/models/kinds/")).one("textarea", name="message")


def test_form_of_twelve_hundred_features_is_shown_and_taken(client: Client, kinds: RegisteredModel) -> None:
    describe(kinds.champion, *({"kind": "number", "name": f"f{number}"} for number in range(1200)))

    page = Page(client.get("/models/kinds/"))

    assert len(page.all("input", type="text")) == 1200
    assert asked(client, {f"f{number}": str(number) for number in range(1200)}) == list(range(1200))


# --- Once -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("headers", [{}, HTMX])
def test_form_sent_twice_gives_one_prediction(client: Client, kinds: RegisteredModel, headers: Any) -> None:
    key = Page(client.get("/models/kinds/")).values()["idempotency_key"]

    first, second = (client.post(ASK, {**GOOD, "idempotency_key": key}, headers=headers) for _ in range(2))

    assert first.status_code == second.status_code
    assert Prediction.objects.count() == 1


def test_form_sent_twice_before_the_first_answer_came_gives_one_prediction(
    client: Client, kinds: RegisteredModel
) -> None:
    """A double click of a new visitor: both requests have only the cookies and the key of the form's page."""
    key = Page(client.get("/models/kinds/")).values()["idempotency_key"]
    cookies = client.cookies.output()
    for _ in range(2):
        again = Client()
        again.cookies.load({name: morsel.value for name, morsel in client.cookies.items()})
        assert again.post(ASK, {**GOOD, "idempotency_key": key}).status_code == 303

    assert COOKIE in cookies
    assert Prediction.objects.count() == 1


def test_form_sent_again_with_other_values_asks_again(client: Client, kinds: RegisteredModel) -> None:
    key = Page(client.get("/models/kinds/")).values()["idempotency_key"]

    for size in ("1", "2"):
        assert client.post(ASK, {**GOOD, "long side": size, "idempotency_key": key}).status_code == 303

    assert Prediction.objects.count() == 2


def test_each_form_has_a_key_of_its_own_and_is_kept_by_its_reader_only(client: Client, kinds: RegisteredModel) -> None:
    responses = [client.get("/models/kinds/") for _ in range(2)]

    assert len({Page(response).values()["idempotency_key"] for response in responses}) == 2
    assert [response["Cache-Control"] for response in responses] == ["private, no-cache"] * 2


def test_form_that_holds_the_values_of_a_prediction_is_not_stored(client: Client, kinds: RegisteredModel) -> None:
    assert kinds.champion
    row = make(kinds.champion, values=VALUES)

    assert "no-store" in client.get(f"/models/kinds/?from={row.pk}")["Cache-Control"]


# --- Not now ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("headers", [{}, HTMX])
def test_full_queue_answers_503_and_keeps_the_values(
    client: Client, kinds: RegisteredModel, iris: ModelVersion, settings: Any, headers: Any
) -> None:
    settings.MAX_QUEUED = 1
    make(iris)

    response = client.post(ASK, GOOD, headers=headers)

    assert (response.status_code, response["Retry-After"]) == (503, "300")
    assert "Too many predictions are waiting at the moment. Try again shortly." in Page(response).text
    assert Page(response).values()["long side"] == "40.5"


@pytest.mark.usefixtures("clean_redis")
@pytest.mark.parametrize("headers", [{}, HTMX])
def test_caller_who_asks_too_fast_gets_429_and_keeps_the_values(
    client: Client, kinds: RegisteredModel, settings: Any, headers: Any
) -> None:
    settings.SUBMIT_RATE = "1/minute"
    client.post(ASK, GOOD)

    response = client.post(ASK, GOOD, headers=headers)

    assert response.status_code == 429
    assert 55 <= int(response["Retry-After"]) <= 60
    assert Page(response).values()["long side"] == "40.5"


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_model_that_does_not_serve_answers_503(
    client: Client, kinds: RegisteredModel, analyst: Any, headers: Any
) -> None:
    assert kinds.champion
    ModelVersion.objects.mark_unavailable(kinds.champion.pk, "at /home/someone")
    registry.clear_cache()

    for response in (client.get("/models/kinds/"), client.post(ASK, GOOD, headers=headers)):
        assert "This model does not answer just now" in Page(response).text
        assert b"someone" not in response.content
    assert response.status_code == 503
    client.force_login(analyst)
    assert b"at /home/someone" in client.get("/models/kinds/").content


@pytest.mark.parametrize("method", ["get", "post"])
def test_model_that_is_not_there_is_404(client: Client, method: str) -> None:
    assert getattr(client, method)("/models/nothing/" + ("predictions/" if method == "post" else "")).status_code == 404


def test_values_of_iris_are_written_as_a_person_would(client: Client, iris: ModelVersion) -> None:
    row = make(iris, values=[5.0, 0.1 + 0.2, 1e-7, 40.0])
    page = Page(client.get(f"/models/iris/?from={row.pk}"))

    assert [page.one("input", name=name)["value"] for name in iris.signature.names] == [
        "5",
        "0.30000000000000004",
        "1e-07",
        "40",
    ]
    assert len(IRIS) == 4
