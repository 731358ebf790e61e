"""Pages follow the reader's language; programs read English."""

import re
import uuid
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from predictions.batches.encodings import ENCODINGS
from predictions.explanations.compute import compute
from predictions.models import (
    ApiToken,
    BatchJob,
    ComparedAnswer,
    Comparison,
    Embedding,
    ModelVersion,
    Prediction,
    RegisteredModel,
    State,
)
from predictions.queue import notifications
from predictions.use_cases.callers import of_user
from predictions.use_cases.sharing import view_token
from tests.integration.conftest import make, run_worker, signed_in
from tests.integration.web.conftest import Page
from tests.support.files import execute
from tests.support.site_client import Client
from tests.support.untranslated import READ

pytestmark = pytest.mark.django_db(transaction=True)

GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}
OUTSIDE = {
    "kind": "classification", "label": "setosa",
    "probabilities": {"setosa": 0.9, "versicolor": 0.07, "virginica": 0.03}, "prediction_set": None, "coverage": None,
    "grade": "outside", "grade_evidence": {"right": 4, "of": 9},
}  # fmt: skip
UNCERTAIN = {
    **OUTSIDE, "prediction_set": ["setosa", "virginica"], "coverage": 0.9, "grade": "uncertain",
    "grade_evidence": {"right": 30, "of": 40},
}  # fmt: skip
CLEAR = {**UNCERTAIN, "prediction_set": ["setosa"], "grade": "clear", "grade_evidence": {"right": 98, "of": 100}}
NUMBER = {"kind": "regression", "value": 1234.5678, "unit": "mm", "interval": [1200.25, 1300.75], "coverage": 0.8,
          "grade": "clear", "grade_evidence": {"right": 8, "of": 10}}  # fmt: skip


class Texts(HTMLParser):
    """The texts and attributes of a page that people read, except the card and the code."""

    SILENT = {"code", "pre", "script", "style"}

    def __init__(self, response: Any) -> None:
        super().__init__()
        self.found: set[str] = set()
        self._open: list[str] = []
        self.feed(response.content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {value for name, value in attrs if value and (name in READ or name.startswith("data-"))}
        if tag in self.SILENT or "prose" in (dict(attrs).get("class") or "") or self._open:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._open and tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not self._open:
            self.found.add(" ".join(data.split()))


def words(texts: set[str]) -> set[str]:
    """The texts with two words or more. One word may belong to both languages, as "Version" and "Status" do."""
    return {text for text in texts if len(re.findall(r"[^\W\d_]{2,}", text)) >= 2 and text[0] not in "/?{"}


def alike(client: Client, address: str, known: set[str], **options: Any) -> set[str]:
    """The texts of a page that are the same in English and in German, without words of the models' authors."""
    method = client.post if "data" in options else client.get
    english, german = (method(address, headers=headers, **options) for headers in ({}, GERMAN))
    assert b'<html lang="en"' in english.content
    assert b'<html lang="de"' in german.content
    same = words(Texts(english).found & Texts(german).found)
    return {text for text in same if words({_without(text, known)})}


def _without(text: str, known: set[str]) -> str:
    for name in sorted(known, key=len, reverse=True):
        text = re.sub(re.escape(name), "", text, flags=re.IGNORECASE)
    return text.strip() or "-"


def words_of(models: Any) -> set[str]:
    """The texts that the authors of the models wrote, and the names of classes."""
    found: set[str] = set()

    def collect(value: Any) -> None:
        if isinstance(value, str) and (len(value) > 3 or is_unit(value)):
            found.add(" ".join(value.split()))
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
            collect(inner)

    def is_unit(value: str) -> bool:
        return value in ("cm", "mm")

    for model in models:
        collect(model.description)
        version = model.champion
        collect([model.title, model.summary, version.signature.model_dump(mode="json"), version.manifest["target"]])
        collect([[name, number] for name, number in version.manifest["libraries"].items()])
        collect(version.sha256)
    return found


@pytest.fixture
def known(registered: dict[str, RegisteredModel]) -> set[str]:
    return words_of(registered.values()) | {"http://testserver/api/v1/models/iris/predictions/", *ENCODINGS}


@pytest.fixture
def analyst(db: None) -> User:
    user = User.objects.create_user("olga", password="secret-of-olga")
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_monitor", "operate_models"]))
    return user


PAGES = [
    "/", "/models/iris/", "/models/diabetes/", "/models/breast-cancer/?example=1", "/models/iris/card/",
    "/models/diabetes/card/", "/models/iris/versions/", "/models/iris/api/", "/predictions/", "/batches/",
    "/batches/new/?model=iris", "/monitor/", "/accounts/", "/accounts/tokens/", "/accounts/data/remove/",
    "/models/iris/embed/", "/models/iris/versions/1/comparison/", "/predictions/?q=nothing+is+so",
    "/predictions/compare/?id=none", "/accounts/password_change/", "/accounts/password_change/done/", "/nothing/",
    "/predictions/7/", "/api/v1/docs/",
]  # fmt: skip


@pytest.mark.parametrize("address", PAGES)
def test_page_has_no_english_sentence_in_german(analyst: User, known: set[str], address: str) -> None:
    assert alike(signed_in(analyst), address, known) == set()


@pytest.mark.parametrize("address", ["/accounts/login/?next=/accounts/", "/nothing/"])
def test_page_of_a_stranger_has_no_english_sentence_in_german(client: Client, known: set[str], address: str) -> None:
    assert alike(client, address, known) == set()


@pytest.mark.parametrize(
    ("state", "fields"),
    [
        (State.QUEUED, {}),
        (State.RUNNING, {}),
        (State.FAILED, {}),
        (State.FAILED, {"error_code": "worker_lost"}),
        (State.CANCELED, {}),
        (State.EXPIRED, {}),
        (State.SUCCEEDED, {"output": CLEAR}),
        (State.SUCCEEDED, {"output": UNCERTAIN}),
        (State.SUCCEEDED, {"output": OUTSIDE, "values": [50.0, 3.5, 1.4, 0.2]}),
    ],
)
@pytest.mark.parametrize("query", ["", "?attempt=3", "?attempt=100000"])
def test_prediction_has_no_english_sentence_in_german(
    analyst: User, registered: dict[str, RegisteredModel], known: set[str], state: State, fields: Any, query: str
) -> None:
    row = make(registered["iris"].champion, state, caller=of_user(analyst).key, owner=analyst, **fields)

    assert alike(signed_in(analyst), f"/predictions/{row.pk}/{query}", known) == set()


def test_answer_of_a_number_is_german(analyst: User, registered: dict[str, RegisteredModel], known: set[str]) -> None:
    version = registered["diabetes"].champion
    values = registered["diabetes"].description["examples"][0]["values"]
    row = make(version, State.SUCCEEDED, owner=analyst, caller=of_user(analyst).key, output=NUMBER,
               values=[values[name] for name in version.signature.names])  # fmt: skip
    client = signed_in(analyst)

    page = Page(client.get(f"/predictions/{row.pk}/", headers=GERMAN))

    assert "zwischen 1200 und 1310 in etwa 8 von 10 Fällen" in page.text
    assert "die denen gleichen, an denen es geprüft wurde" in page.text
    assert alike(client, f"/predictions/{row.pk}/", known) == set()


@pytest.mark.parametrize("route", ["explanation", "what-if"])
def test_fragment_that_waits_is_german(
    analyst: User, registered: dict[str, RegisteredModel], known: set[str], route: str
) -> None:
    row = make(registered["iris"].champion, State.SUCCEEDED, owner=analyst, caller=of_user(analyst).key, output=CLEAR)

    assert alike(signed_in(analyst), reverse(route, args=[row.pk]), known) == set()


@pytest.mark.parametrize("route", ["explanation", "what-if"])
@pytest.mark.parametrize("model", ["iris", "diabetes"])
def test_computed_fragment_is_german(
    analyst: User,
    registered: dict[str, RegisteredModel],
    known: set[str],
    monkeypatch: pytest.MonkeyPatch,
    route: str,
    model: str,
) -> None:
    version = registered[model].champion
    values = registered[model].description["examples"][0]["values"]
    row = make(version, owner=analyst, caller=of_user(analyst).key,
               values=[values[name] for name in version.signature.names])  # fmt: skip
    run_worker(version)
    monkeypatch.setattr(notifications, "ask_to_compute", lambda pk: compute(pk) is None)

    assert alike(signed_in(analyst), reverse(route, args=[row.pk]), known) == set()


def test_result_that_is_shared_or_replayed_is_german(
    analyst: User, registered: dict[str, RegisteredModel], known: set[str]
) -> None:
    version, own = registered["iris"].champion, {"owner": analyst, "caller": of_user(analyst).key}
    row = make(version, State.SUCCEEDED, output=CLEAR, **own)
    again = make(version, State.SUCCEEDED, output=OUTSIDE, **own)
    waiting = make(version, **own)
    client = signed_in(analyst)

    for address in (
        reverse("shared", args=[view_token(row)]),
        reverse("replay", args=[row.pk]),
        reverse("replayed", args=[row.pk, waiting.pk]),
        f"{reverse('replayed', args=[row.pk, waiting.pk])}?attempt=100000",
        f"{reverse('compare')}?id={row.pk}&id={again.pk}",
    ):
        assert alike(client, address, known) == set()


def test_comparison_of_versions_is_german(
    analyst: User, registered: dict[str, RegisteredModel], known: set[str]
) -> None:
    version = registered["iris"].champion
    older = ModelVersion.objects.get(pk=version.pk)
    older.pk, older.number = None, 2
    older.save()
    run = Comparison.objects.create(version=older, kind="replay", wanted=40, done=40)
    rows = [make(version, State.SUCCEEDED, output=CLEAR, values=[4.5 + n / 10, 3.5, 1.4, 0.2]) for n in range(40)]
    ComparedAnswer.objects.bulk_create(
        [ComparedAnswer(original=row, version=older, output=CLEAR if n else UNCERTAIN) for n, row in enumerate(rows)]
    )
    client = signed_in(analyst)

    assert alike(client, "/models/iris/versions/2/comparison/", known) == set()
    run.finished_at = rows[0].finished_at
    run.save()
    assert alike(client, "/models/iris/versions/2/comparison/", known) == set()
    page = Page(client.get("/models/iris/versions/2/comparison/", headers=GERMAN))
    assert "Von allen solchen Fällen sind es mindestens etwa 91 von 100." in page.text


def test_errors_of_the_form_are_german(client: Client, registered: dict[str, RegisteredModel], known: set[str]) -> None:
    sent = {"sepal length (cm)": "1.234", "sepal width (cm)": "abc", "petal length (cm)": ""}

    page = Page(client.post("/models/iris/predictions/", sent, headers=GERMAN))

    assert "lässt sich auf zwei Arten lesen. Geben Sie 1,234 oder 1234 ein." in page.text
    assert "„abc“ ist keine Zahl. Benutzen Sie Ziffern, zum Beispiel 12,5." in page.text
    assert "Bitte füllen Sie dieses Feld aus." in page.text
    assert alike(client, "/models/iris/predictions/", known, data=sent) == set()


def test_numbers_go_round_in_german(client: Client, registered: dict[str, RegisteredModel]) -> None:
    """The values of an example, sent as the form has them, are the values of the prediction."""
    page = Page(client.get("/models/breast-cancer/?example=1", headers=GERMAN))
    values = page.values()
    assert any("," in text for text in values.values())
    assert not any("." in text for text in values.values())

    sent = client.post("/models/breast-cancer/predictions/", values, headers=GERMAN)

    row = Prediction.objects.get(pk=sent["Location"].split("/")[2])
    example = registered["breast-cancer"].description["examples"][0]["values"]
    assert dict(zip(row.version.signature.names, row.values, strict=True)) == example
    again = Page(client.get(f"/models/breast-cancer/?from={row.pk}", headers=GERMAN)).values()
    assert {name: again[name] for name in example} == {name: values[name] for name in example}


def test_downloads_are_alike_in_every_language(analyst: User, registered: dict[str, RegisteredModel]) -> None:
    row = make(registered["iris"].champion, State.SUCCEEDED, owner=analyst, caller=of_user(analyst).key, output=CLEAR)
    client = signed_in(analyst)

    for address in (f"/predictions/{row.pk}/csv/", "/batches/template/?model=iris"):
        english, german = client.get(address), client.get(address, headers=GERMAN)
        assert english.content == german.content
        assert "Accept-Language" not in german.get("Vary", "")


def test_files_have_no_english_sentence_in_german(
    analyst: User, registered: dict[str, RegisteredModel], known: set[str]
) -> None:
    client = signed_in(analyst)
    known = known | {"rows.csv", "pasted rows", "eingefügte Zeilen"}
    rows = ",".join(registered["iris"].champion.signature.names) + "\n5.1,3.5,1.4,0.2\noops,3.5,1.4,0.2\n1,2\n"
    response = client.post(f"{reverse('new-batch')}?model=iris", {"rows": rows})
    preview = response["Location"]
    assert alike(client, preview, known) == set()

    draft = Page(client.get(preview)).all("input", name="draft")[0]["value"]
    started = client.post(f"{reverse('new-batch')}?model=iris", {"draft": draft})["Location"]
    assert alike(client, started, known) == set()
    execute(BatchJob.objects.get())
    assert alike(client, started, known) == set()
    assert alike(client, "/batches/", known) == set()
    assert "Muss eine Zahl sein." in Page(client.get(started, headers=GERMAN)).text
    assert BatchJob.objects.get().state == "finished"


def test_board_with_rows_has_no_english_sentence_in_german(
    analyst: User, registered: dict[str, RegisteredModel], known: set[str]
) -> None:
    version = registered["iris"].champion
    make(version, age=60)
    make(version, State.SUCCEEDED, output=OUTSIDE, age=120)

    assert alike(signed_in(analyst), "/monitor/?model=iris", known) == set()


def test_results_side_by_side_have_no_english_sentence_in_german(
    analyst: User, registered: dict[str, RegisteredModel], known: set[str]
) -> None:
    version, client = registered["iris"].champion, signed_in(analyst)
    own = {"caller": of_user(analyst).key, "owner": analyst}
    one = make(version, State.SUCCEEDED, output=OUTSIDE, age=120, **own)
    other = make(version, State.SUCCEEDED, output=CLEAR, values=[5.25, 3.5, 1.4, 0.2], **own)

    assert alike(client, f"/predictions/compare/?id={one.pk}&id={other.pk}", known) == set()
    assert alike(client, f"/predictions/compare/?id={one.pk}", known) == set()
    assert alike(client, "/predictions/?grade=clear", known) == set()
    assert "5,25" in Page(client.get(f"/predictions/compare/?id={one.pk}&id={other.pk}", headers=GERMAN)).text


def test_embedded_page_is_german_by_the_browser_alone(
    analyst: User, registered: dict[str, RegisteredModel], known: set[str]
) -> None:
    embedding = Embedding.objects.create(user=analyst, registered_model=registered["iris"], origin="https://a.example")
    known = known | {embedding.origin, f"snippet-{embedding.key}"}
    client, address = Client(), f"/embed/{embedding.key}/"
    client.cookies["language"] = "de"
    assert Page(client.get(address)).one("html")["lang"] == "en"

    assert alike(client, address, known) == set()
    assert alike(client, address, known, data={"sepal length (cm)": "abc"}) == set()
    assert alike(signed_in(analyst), "/models/iris/embed/", known) == set()
    assert alike(signed_in(analyst), "/models/iris/versions/1/comparison/", known) == set()
    assert "Cookie" not in client.get(address)["Vary"]


def test_tokens_have_no_english_sentence_in_german(analyst: User, known: set[str]) -> None:
    client = signed_in(analyst)
    token, _ = ApiToken.objects.create(user=analyst, name="robot one")

    for address in ("/accounts/tokens/", f"/accounts/tokens/{token.token_key}/revoke/"):
        assert alike(client, address, known | {"robot one"}) == set()
    assert alike(client, "/accounts/tokens/", known | {"robot one"}, data={"name": "", "days": "7"}) == set()


# --- The choice of the language ---------------------------------------------------------------------------------------
def test_page_says_its_language_and_what_it_varies_by(client: Client, db: None) -> None:
    response = client.get("/", headers=GERMAN)

    assert response["Content-Language"] == "de"
    assert {"Accept-Language", "Cookie"} <= set(response["Vary"].replace(" ", "").split(","))
    assert "Was möchten Sie wissen?" in Page(response).text


@pytest.mark.parametrize("accepted", ["", "fr", "en-GB,de;q=0.5", "*"])
def test_page_is_english_for_readers_of_other_languages(client: Client, db: None, accepted: str) -> None:
    response = client.get("/", headers={"Accept-Language": accepted})

    assert (response["Content-Language"], response.status_code) == ("en", 200)


def test_chosen_language_is_kept_over_that_of_the_browser(client: Client, db: None) -> None:
    chosen = client.post("/language/", {"language": "de"}, headers={"Referer": "http://testserver/predictions/"})
    assert (chosen.status_code, chosen["Location"]) == (302, "http://testserver/predictions/")
    cookie = chosen.cookies["language"]
    assert (cookie["samesite"], bool(cookie["httponly"])) == ("Lax", True)

    page = Page(client.get("/predictions/", headers={"Accept-Language": "en"}))

    assert page.one("html")["lang"] == "de"
    form = page.one("form", class_="languages")
    assert (form["method"], form["action"]) == ("post", "/language/")
    assert [(b["value"], b.get("aria-current")) for b in page.all("button", name="language")] == [
        ("en", None), ("de", "true"),
    ]  # fmt: skip


def test_choice_never_leads_to_another_site(client: Client, db: None) -> None:
    chosen = client.post("/language/", {"language": "de", "next": "//example.org/"})

    assert chosen["Location"] == "/"


def test_language_of_one_reader_is_not_left_to_the_next(client: Client, db: None) -> None:
    client.get("/", headers=GERMAN)

    assert Page(client.get("/")).one("html")["lang"] == "en"


# --- Programs ---------------------------------------------------------------------------------------------------------
def test_api_is_english_whatever_is_accepted(client: Client, iris: Any) -> None:
    wrong = {"features": {"sepal length (cm)": "x"}}
    for headers in ({}, GERMAN):
        problem = client.post("/api/v1/models/iris/predictions/", wrong, "application/json", headers=headers).json()
        assert problem["detail"] == "Some values need another look. Correct them and ask again."
        assert {error["message"] for error in problem["errors"]} == {"Must be a number.", "Please fill this in."}
        missing = client.get(f"/api/v1/predictions/{uuid.uuid4()}/", headers=headers).json()
        assert missing["detail"] == "There is no such model or prediction, or it is not yours."
        refused = client.post("/v2/models/iris/infer", {"inputs": []}, "application/json", headers=headers).json()
        assert re.search(r"[a-z]+ [a-z]+", refused["error"])
        assert refused == client.post("/v2/models/iris/infer", {"inputs": []}, "application/json").json()


def test_schema_is_english_whatever_is_accepted(client: Client, iris: Any) -> None:
    english, german = (client.get("/api/v1/schema/", headers=headers).content for headers in ({}, GERMAN))

    assert english == german
