"""Predictions and versions are read-only in the admin: transitions change a prediction, and nothing a version."""

import pytest
from django.contrib.auth.models import User

from predictions.models import ModelVersion, Prediction, State
from tests.integration.conftest import make, signed_in
from tests.integration.web.conftest import Page
from tests.support.site_client import Client


@pytest.fixture
def superuser(db: None) -> Client:
    return signed_in(User.objects.create_superuser("superuser", password="secret"))


def test_results_offer_no_action(superuser: Client, iris: ModelVersion) -> None:
    row = make(iris, State.SUCCEEDED)

    page = Page(superuser.get("/admin/predictions/prediction/"))

    assert page.all("select", name="action") == []
    assert [a["href"] for a in page.all("a") if a.get("class") == "addlink" and "/predictions/" in a["href"]] == []
    body = {"action": "delete_selected", "_selected_action": str(row.pk), "post": "yes"}
    superuser.post("/admin/predictions/prediction/", body)
    assert Prediction.objects.filter(pk=row.pk, state=State.SUCCEEDED).exists()


@pytest.mark.parametrize("part", ["add/", "{}/change/", "{}/delete/"])
@pytest.mark.parametrize("name", ["prediction", "modelversion", "registeredmodel"])
def test_nothing_is_written_even_by_a_superuser(superuser: Client, iris: ModelVersion, name: str, part: str) -> None:
    row = make(iris, State.SUCCEEDED)
    key = {"prediction": row.pk, "modelversion": iris.pk, "registeredmodel": iris.registered_model_id}[name]
    before = list(Prediction.objects.values()), list(ModelVersion.objects.values())

    response = superuser.post(f"/admin/predictions/{name}/{part.format(key)}", {"state": "failed", "post": "yes"})

    assert response.status_code == 403
    assert (list(Prediction.objects.values()), list(ModelVersion.objects.values())) == before


def test_details_of_a_result_are_text(superuser: Client, iris: ModelVersion) -> None:
    row = make(iris, State.SUCCEEDED)

    page = Page(superuser.get(f"/admin/predictions/prediction/{row.pk}/change/"))

    main = [a for tag, a in page.elements if tag in ("input", "select", "textarea") and a.get("type") != "hidden"]
    assert [a for a in main if a.get("name") not in (None, "q")] == []


def test_results_are_filtered_by_the_filters_of_their_page_only(superuser: Client, iris: ModelVersion) -> None:
    make(iris, State.SUCCEEDED)
    make(iris, State.FAILED)

    page = Page(superuser.get("/admin/predictions/prediction/?state__exact=failed"))

    assert page.text.count("1 prediction") == 1
    assert superuser.get("/admin/predictions/prediction/?caller__startswith=visitor").status_code == 400
