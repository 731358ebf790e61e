"""My predictions: a list that keeps itself up to date, with search, values, sureness and CSV."""

import csv
import io
import json
from typing import Any

import pytest

from predictions.models import ModelVersion, Prediction, RegisteredModel, State
from predictions.use_cases.callers import key_of
from tests.integration.conftest import IRIS, make, signed_in
from tests.integration.web.conftest import Page
from tests.support.site_client import Client

HTMX = {"HX-Request": "true"}

pytestmark = pytest.mark.django_db(transaction=True)


def output(label: str, grade: str = "clear") -> dict[str, Any]:
    return {
        "kind": "classification", "label": label, "grade": grade, "probabilities": None, "prediction_set": [label],
    }  # fmt: skip


@pytest.fixture
def own(owner: Any) -> dict[str, Any]:
    return {"owner": owner, "caller": key_of(owner)}


@pytest.fixture
def mine(owner: Any) -> Client:
    return signed_in(owner)


def listed(client: Client, query: str = "") -> list[str]:
    page = Page(client.get(f"/predictions/{query}"))
    return [found["href"].split("/")[2] for found in page.all("a", class_="record-link")]


def rows_of(client: Client, query: str = "") -> list[dict[str, str]]:
    response = client.get(f"/predictions/csv/{query}")
    return list(csv.DictReader(io.StringIO(b"".join(response).decode())))


def test_line_says_values_and_sureness(mine: Client, iris: ModelVersion, own: dict[str, Any]) -> None:
    make(iris, State.SUCCEEDED, output=output("setosa"), **own)

    text = Page(mine.get("/predictions/")).text

    assert "Sepal length 5.1; Sepal width 3.5; Petal length 1.4; and 1 more" in text
    assert "setosa Clear Iris species" in text


def test_line_of_a_number_says_its_interval(
    mine: Client, registered: dict[str, RegisteredModel], own: dict[str, Any]
) -> None:
    version = registered["diabetes"].champion
    assert version
    number = {
        "kind": "regression",
        "value": 141.2,
        "unit": "",
        "interval": [61.0, 219.0],
        "coverage": 0.9,
        "grade": None,
    }
    values = [feature.default for feature in version.signature.features]
    make(version, State.SUCCEEDED, output=number, values=values, **own)
    make(version, State.SUCCEEDED, output={**number, "interval": None, "grade": "outside"}, values=values, **own)

    text = Page(mine.get("/predictions/")).text

    assert "about 140 60 to 220 Diabetes progression" in text
    assert "141.2 (outside its experience) Outside its experience Diabetes progression" in text


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?q=VIRGIN", [1]), ("?q=4.9", [1]), ("?q=nothing", []), ("?grade=outside", [1]), ("?grade=clear", [0]),
        ("?model=iris", [1, 0]), ("?model=kinds", [2]), ("?q=gr%C3%BCn", [2]), ("?q=%00", [2, 1, 0]),
        ("?grade=unknown", [2, 1, 0]), ("?model=kinds&q=virginica", []),
    ],
)  # fmt: skip
def test_search_narrows_the_list_and_its_csv(
    mine: Client, iris: ModelVersion, kinds: RegisteredModel, own: dict[str, Any], query: str, expected: list[int]
) -> None:
    assert kinds.champion
    rows = [
        make(iris, State.SUCCEEDED, age=3, output=output("setosa"), **own),
        make(iris, State.SUCCEEDED, age=2, values=[*IRIS[:2], 4.9, 1.5], output=output("virginica", "outside"), **own),
        make(kinds.champion, State.SUCCEEDED, age=1, values=[40.5, 2, "g", True, "grün", None], output=None, **own),
    ]
    make(iris, State.SUCCEEDED, output=output("virginica", "outside"))  # asked by somebody else

    wanted = [str(rows[place].pk) for place in expected]
    assert listed(mine, query) == wanted
    assert [row["id"] for row in rows_of(mine, query)] == wanted


@pytest.mark.parametrize(("query", "count"), [("?q=rot", 1), ("?grade=uncertain", 1), ("?grade=outside", 0)])
def test_search_finds_a_target_whose_name_is_a_number(
    mine: Client, iris: ModelVersion, own: dict[str, Any], query: str, count: int
) -> None:
    parts = {"1": output("rot", "uncertain"), 'a "b" \\ %s.c': output("klein")}
    make(iris, State.SUCCEEDED, output={"kind": "multi", "outputs": parts}, **own)

    assert len(rows_of(mine, query)) == count


def test_search_without_a_find_says_so_and_offers_all(mine: Client, iris: ModelVersion, own: dict[str, Any]) -> None:
    make(iris, State.SUCCEEDED, **own)

    page = Page(mine.get("/predictions/?q=nothing"))

    assert "None of your predictions is so" in page.text
    assert page.one("input", name="q")["value"] == "nothing"


def test_pages_keep_the_search(
    mine: Client, iris: ModelVersion, own: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("predictions.web.views.mine.PAGE_SIZE", 1)
    for age in (2, 1):
        make(iris, State.SUCCEEDED, age=age, output=output("setosa"), **own)

    older = Page(mine.get("/predictions/?q=setosa")).one("a", rel="next")["href"]

    assert older == "/predictions/?q=setosa&page=2"
    assert Page(mine.get(older)).one("a", rel="prev")["href"] == "/predictions/?q=setosa&page=1"


# --- Live -------------------------------------------------------------------------------------------------------------
def poll_url(response: Any) -> str:
    return Page(response).one("section", id="mine")["hx-get"]


def test_list_is_sent_again_only_when_a_line_changes(mine: Client, iris: ModelVersion, own: dict[str, Any]) -> None:
    row = make(iris, **own)
    poll = poll_url(mine.get("/predictions/"))
    assert mine.get(poll, headers=HTMX).status_code == 204

    Prediction.objects.filter(pk=row.pk).update(state=State.SUCCEEDED, output=output("setosa"))
    changed = mine.get(poll, headers=HTMX)

    assert "setosa" in Page(changed).text
    assert "<html" not in changed.content.decode()
    assert mine.get(poll_url(changed), headers=HTMX).status_code == 204


def test_new_prediction_appears_and_the_choice_to_compare_stays(
    mine: Client, iris: ModelVersion, own: dict[str, Any]
) -> None:
    first = make(iris, State.SUCCEEDED, age=1, **own)
    poll = poll_url(mine.get("/predictions/"))
    make(iris, **own)

    page = Page(mine.get(f"{poll}&id={first.pk}", headers=HTMX))

    assert len(page.all("a", class_="record-link")) == 2
    assert [box["value"] for box in page.all("input", type="checkbox") if "checked" in box] == [str(first.pk)]


@pytest.mark.parametrize("until", ["5", "", "x", "٣", "9" * 30])
def test_unchanged_list_stops_asking_in_the_end(
    mine: Client, iris: ModelVersion, own: dict[str, Any], until: str
) -> None:
    make(iris, State.SUCCEEDED, **own)

    page = Page(mine.get(f"/predictions/?until={until}", headers=HTMX))

    assert "hx-get" not in page.one("section", id="mine")
    assert "this list has stopped asking" in page.text


# --- CSV --------------------------------------------------------------------------------------------------------------
def test_csv_of_one_model_has_a_column_for_each_value(mine: Client, iris: ModelVersion, own: dict[str, Any]) -> None:
    make(iris, State.SUCCEEDED, output=output("setosa"), **own)
    make(iris, State.FAILED, age=1, **own)

    first, second = rows_of(mine, "?model=iris")

    assert [first[name] for name in iris.signature.names] == ["5.1", "3.5", "1.4", "0.2"]
    assert (first["prediction"], first["grade"], first["prediction_set"]) == ("setosa", "clear", "setosa")
    assert (second["prediction"], second["state"], second["error"]) == ("", "failed", "model_error")


def test_csv_of_several_models_has_the_values_as_json(
    mine: Client, kinds: RegisteredModel, own: dict[str, Any]
) -> None:
    assert kinds.champion
    number = {"kind": "regression", "value": -5.5, "interval": [-6, 7], "grade": None}
    make(kinds.champion, State.SUCCEEDED, values=[40.5, 2, "g", True, "=1+1", None], output=number, **own)

    [row] = rows_of(mine)

    assert (row["prediction"], row["lower"], row["upper"]) == ("-5.5", "-6", "7")
    assert '"note": "=1+1"' in row["values"]
    assert rows_of(mine, "?model=kinds")[0]["note"] == "'=1+1"  # no spreadsheet runs it as a formula


def test_name_of_a_feature_is_no_formula_in_a_csv(mine: Client, iris: ModelVersion, own: dict[str, Any]) -> None:
    first, *others = iris.manifest["signature"]
    iris.manifest = {**iris.manifest, "signature": [{**first, "name": "=now()"}, *others]}
    iris.save()
    row = make(iris, State.SUCCEEDED, output=output("setosa"), **own)

    alone = mine.get(f"/predictions/{row.pk}/csv/").content.decode()

    assert alone.startswith("'=now(),")
    assert "'=now()" in rows_of(mine, "?model=iris")[0]


def test_csv_has_a_json_object_for_several_targets(mine: Client, iris: ModelVersion, own: dict[str, Any]) -> None:
    number = {"kind": "regression", "value": 4.5, "interval": [4, 5], "grade": "outside"}
    parts = {"colour": output("red"), "height": number}
    targets = [{"target": {"name": name}} for name in parts]
    ModelVersion.objects.filter(pk=iris.pk).update(manifest={**iris.manifest, "targets": targets})
    make(iris, State.SUCCEEDED, output={"kind": "multi", "outputs": parts}, **own)

    [row] = rows_of(mine)

    assert {name: json.loads(row[name]) for name in ("prediction", "lower", "upper", "prediction_set", "grade")} == {
        "prediction": {"colour": "red", "height": 4.5},
        "lower": {"colour": None, "height": 4},
        "upper": {"colour": None, "height": 5},
        "prediction_set": {"colour": "red", "height": None},
        "grade": {"colour": "clear", "height": "outside"},
    }
