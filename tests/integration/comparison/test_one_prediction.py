"""One prediction is replayed on another version from its receipt, through the queue."""

import pytest

from predictions.models import ModelVersion, Prediction, Source, State
from tests.integration.conftest import IRIS, SETOSA, make, run_worker
from tests.support.site_client import Client

Versions = tuple[ModelVersion, ModelVersion]


@pytest.fixture
def row(second: Versions) -> Prediction:
    return make(second[0], State.SUCCEEDED)


def compared(*rows: Prediction) -> str:
    return "/predictions/compare/?" + "&".join(f"id={row.pk}" for row in rows)


def test_receipt_leads_to_both_answers(second: Versions, row: Prediction) -> None:
    client = Client()
    page = client.get(f"/predictions/{row.pk}/").content.decode()
    assert f'href="/predictions/{row.pk}/replay/"' in page
    assert "Version 2" in client.get(f"/predictions/{row.pk}/replay/").content.decode()

    answer = client.post(f"/predictions/{row.pk}/replay/", {"version": "2"})
    again = Prediction.objects.exclude(pk=row.pk).get()
    assert (answer.status_code, answer["Location"]) == (302, f"/predictions/{row.pk}/replay/{again.pk}/")
    assert (again.version_id, again.state, again.values) == (second[1].pk, State.QUEUED, IRIS)

    waiting = client.get(answer["Location"]).content.decode()
    assert "hx-get" in waiting
    assert "http-equiv" in waiting
    run_worker(second[1])
    assert client.get(answer["Location"], headers={"HX-Request": "true"})["HX-Redirect"] == compared(row, again)
    plain = client.get(answer["Location"])
    assert (plain.status_code, plain["Location"]) == (302, compared(row, again))
    shown = client.get(compared(row, again)).content.decode()
    assert "Both versions give the same answer" in shown
    assert "Share of virginica" in shown


def test_answers_of_two_versions_are_compared_part_by_part(second: Versions, row: Prediction) -> None:
    other = make(second[1], State.SUCCEEDED, output={**SETOSA, "label": "virginica"})
    page = Client().get(compared(row, other)).content.decode()
    assert "version 1 the earlier, version 2 the later one." in page
    assert "The answer was setosa, and then virginica." in page
    assert "<td>setosa</td><td><mark>virginica</mark></td>" in page


def test_version_without_an_answer_leads_to_how_it_ended(second: Versions, row: Prediction) -> None:
    failed = make(second[1], State.FAILED)
    client = Client()
    assert client.get(f"/predictions/{row.pk}/replay/{failed.pk}/")["Location"] == compared(row, failed)
    assert 'data-state="failed"' in client.get(compared(row, failed)).content.decode()


@pytest.mark.parametrize("number", ["", "x", "77"])
def test_version_that_there_is_not_is_refused(row: Prediction, number: str) -> None:
    page = Client().post(f"/predictions/{row.pk}/replay/", {"version": number})
    assert page.status_code == 200
    assert "notice-error" in page.content.decode()
    assert Prediction.objects.count() == 1


def test_version_that_asks_for_other_values_is_refused(second: Versions, row: Prediction) -> None:
    broken = make(second[0], State.SUCCEEDED, values=[*IRIS[:3], "broken"])
    page = Client().post(f"/predictions/{broken.pk}/replay/", {"version": "2"}).content.decode()
    assert "Version 2 asks for other values, so it cannot answer these." in page


def test_unfinished_prediction_is_not_replayed(second: Versions) -> None:
    waiting = make(second[0], source=Source.FORM)
    assert Client().get(f"/predictions/{waiting.pk}/replay/").status_code == 404


def test_predictions_of_two_models_are_not_compared(row: Prediction) -> None:
    other = make(ModelVersion.objects.get(registered_model__name="wine"), State.SUCCEEDED, values=[])
    assert Client().get(f"/predictions/{row.pk}/replay/{other.pk}/").status_code == 404
