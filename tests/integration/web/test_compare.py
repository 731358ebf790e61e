"""Two results of one model side by side: what differs, both answers with their grade, and who may see it."""

from typing import Any

import pytest

from predictions.models import ModelVersion, Prediction, RegisteredModel, State
from predictions.use_cases.callers import key_of
from tests.integration.conftest import IRIS, make, signed_in
from tests.integration.web.conftest import Page
from tests.support.site_client import Client

SETOSA = {"kind": "classification", "label": "setosa", "grade": "clear", "probabilities": None, "prediction_set": None}
VIRGINICA = {**SETOSA, "label": "virginica", "grade": "outside"}

pytestmark = pytest.mark.django_db(transaction=True)


def answered(version: ModelVersion, values: list[Any], output: dict[str, Any] = SETOSA, **fields: Any) -> Prediction:
    return make(version, State.SUCCEEDED, values=values, output=output, **fields)


def address(*rows: Prediction) -> str:
    return "/predictions/compare/?" + "&".join(f"id={row.pk}" for row in rows)


@pytest.fixture
def two(iris: ModelVersion) -> tuple[Prediction, Prediction]:
    return answered(iris, IRIS), answered(iris, [*IRIS[:2], 4.9, 0.2], VIRGINICA)


def test_values_that_differ_are_marked_and_both_answers_have_their_grade(
    client: Client, two: tuple[Prediction, Prediction]
) -> None:
    page = Page(client.get(address(*two)))

    assert "1 of 4 values differs. The answer was setosa, and then virginica." in page.text
    assert len(page.all("mark")) == 3  # the value, the answer and its grade
    assert "Petal length cm1.4 4.9 +3.5" in page.text.replace("1.44.9", "1.4 4.9")
    assert "Clear" in page.text
    assert "Outside its experience. Do not rely on this answer." in page.text
    assert "3 values that are the same" in page.text
    assert "ersion" not in page.text.split("Two results side by side")[1].split("Values that differ")[0]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ((150.123, 148.2), "The answer was 150.1, and then 148.2."),
        ((150.1231, 150.1234), "The answer was 150.1231, and then 150.1234."),
        ((150.123, 150.123 * (1 + 1e-15)), "The answer is the same."),
        ((150.123, 190.0), "The answer was about 150, and then about 190."),
    ],
)
def test_answers_are_compared_before_they_are_rounded(
    client: Client, kinds: RegisteredModel, values: tuple[float, float], sentence: str
) -> None:
    assert kinds.champion
    inputs = [40.5, 2, "g", True, None, None]
    numbers = {"kind": "regression", "unit": None, "interval": [50.0, 250.0], "coverage": 0.9, "grade": "clear"}
    rows = [answered(kinds.champion, inputs, {**numbers, "value": value}) for value in values]

    page = Page(client.get(address(*rows)))

    assert f"0 of 6 values differ. {sentence}" in page.text
    assert len(page.all("mark")) == int(sentence != "The answer is the same.")


def test_difference_above_every_float_is_left_out(client: Client, kinds: RegisteredModel) -> None:
    assert kinds.champion
    rows = [answered(kinds.champion, [value, 1, "g", True, "x", None]) for value in (-1.7e308, 1.7e308)]
    page = Page(client.get(address(*rows)))

    assert "1 of 6 values differs." in page.text
    assert "+" not in page.text


def test_codes_of_choices_have_no_difference(client: Client, registered: dict[str, RegisteredModel]) -> None:
    version = registered["diabetes"].champion
    assert version
    example = registered["diabetes"].description["examples"][0]["values"]
    rows = [[{**example, "sex": code}[name] for name in version.signature.names] for code in (1, 2)]
    page = Page(client.get(address(*(make(version, values=row) for row in rows))))

    assert "Code 1Code 2" in page.text.replace("Code 1 Code 2", "Code 1Code 2")
    assert "+1" not in page.text


def test_earlier_result_stands_first_whatever_the_order_of_the_ids(
    client: Client, two: tuple[Prediction, Prediction]
) -> None:
    pages = [Page(client.get(address(*rows))) for rows in (two, two[::-1])]

    assert "The answer was setosa, and then virginica." in pages[1].text
    assert pages[0].text.split("Two results")[1] == pages[1].text.split("Two results")[1]


def test_different_versions_are_named(client: Client, iris: ModelVersion) -> None:
    second = ModelVersion.objects.get(pk=iris.pk)
    second.pk, second.number, second.sha256 = None, iris.number + 1, "0" * 64
    second.save()
    page = Page(client.get(address(answered(iris, IRIS), answered(second, IRIS))))

    assert "version 1 the earlier, version 2 the later one" in page.text
    assert "The answer is the same." in page.text
    assert "None: both have the same values." in page.text


def test_result_without_an_answer_shows_its_state(client: Client, iris: ModelVersion) -> None:
    page = Page(client.get(address(answered(iris, IRIS), make(iris))))

    assert "In the queue" in page.text
    assert "0 of 4 values differ." in page.text


def test_own_results_of_the_same_model_are_offered(iris: ModelVersion, kinds: RegisteredModel, owner: Any) -> None:
    own: dict[str, Any] = {"owner": owner, "caller": key_of(owner)}
    one, other = answered(iris, IRIS, **own), answered(iris, [*IRIS[:3], 0.4], **own)
    answered(iris, IRIS)
    make(iris, **own)
    assert kinds.champion
    make(kinds.champion, State.SUCCEEDED, **own)

    page = Page(signed_in(owner).get(address(one)))

    links = [found["href"] for found in page.all("a", class_="record-link")]
    assert links == [address(one, other)]


def test_first_result_has_none_to_be_compared_with(client: Client, iris: ModelVersion) -> None:
    page = Page(client.get(address(answered(iris, IRIS))))

    assert "There is no other result of this model yet" in page.text


@pytest.mark.parametrize("query", ["", "?id=5", "?id=%00"])
def test_other_than_two_ids_are_refused_with_the_remedy(client: Client, iris: ModelVersion, query: str) -> None:
    response = client.get(f"/predictions/compare/{query}")

    assert response.status_code == 422
    assert "Choose two results to compare" in Page(response).text


def test_three_results_and_results_of_two_models_are_refused(
    client: Client, iris: ModelVersion, kinds: RegisteredModel
) -> None:
    assert kinds.champion
    rows = [answered(iris, IRIS) for _ in range(3)]
    other = make(kinds.champion, State.SUCCEEDED)

    assert "Choose two results" in Page(client.get(address(*rows))).text
    assert "These results are of different models" in Page(client.get(address(rows[0], other))).text


@pytest.mark.parametrize("place", [0, 1])
def test_result_that_the_reader_may_not_see_is_not_compared(
    client: Client, two: tuple[Prediction, Prediction], owner: Any, place: int
) -> None:
    Prediction.objects.filter(pk=two[place].pk).update(owner=owner, caller=key_of(owner))

    assert client.get(address(*two)).status_code == 404
    assert signed_in(owner).get(address(*two)).status_code == 200


def test_kept_page_and_list_lead_to_the_comparison(client: Client, iris: ModelVersion, owner: Any) -> None:
    row = answered(iris, IRIS, owner=owner, caller=key_of(owner))
    mine = signed_in(owner)

    assert Page(mine.get(f"/predictions/{row.pk}/")).one("a", href=address(row))
    listed = Page(mine.get("/predictions/"))
    assert listed.one("input", type="checkbox")["value"] == str(row.pk)
    assert listed.one("form", id="compare-form") == {
        "id": "compare-form", "method": "get", "action": "/predictions/compare/",
    }  # fmt: skip
