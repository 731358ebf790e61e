"""The feedback form: what a person says is stored as it was said, and is shown again without a loss."""

from typing import Any

import pytest

from predictions.models import Feedback, ModelVersion, Prediction, RegisteredModel, State
from tests.integration.conftest import make
from tests.integration.web.conftest import Page
from tests.support.site_client import Client

pytestmark = pytest.mark.django_db(transaction=True)

NUMBER = {"kind": "regression", "value": 150.2, "unit": None, "interval": None, "coverage": None}


def own(client: Client, version: ModelVersion, **fields: Any) -> Prediction:
    """A result of this browser's visitor."""
    client.get("/")
    values = Page(client.get("/models/iris/?example=1")).values()
    client.post("/models/iris/predictions/", values)
    return make(version, State.SUCCEEDED, caller=Prediction.objects.get().caller, **fields)


def say(client: Client, row: Prediction, **said: str) -> Page:
    return Page(client.post(f"/predictions/{row.pk}/feedback/", said, follow=True))


def stored() -> tuple[bool | None, Any, str]:
    return Feedback.objects.values_list("was_right", "actual", "comment").get()


@pytest.mark.parametrize("typed", ["151.23456", "151,23456", "0.000012345678901", "123456789012.125", "-1e300", "7"])
@pytest.mark.parametrize("language", ["en", "de"])
def test_note_and_buttons_keep_all_digits_of_a_number(
    client: Client, kinds: RegisteredModel, typed: str, language: str
) -> None:
    assert kinds.champion
    client.cookies["django_language"] = language
    row = own(client, kinds.champion, values=[40.5, 2, "g", True, None, None], output=NUMBER)
    number = float(typed.replace(",", "."))

    for more in ({}, {"comment": "Measured twice."}, {"was_right": "no"}, {"was_right": "yes"}):
        page = say(client, row, actual=typed, **more)
        assert stored()[1] == number
        typed = str(page.one("input", name="actual")["value"])


@pytest.mark.parametrize(
    ("posted", "was_right", "actual", "summary"),
    [
        ({"was_right": "yes", "actual": "virginica"}, True, None, "You said: it was right."),
        ({"was_right": "no", "actual": "setosa"}, False, None, "You said: it was wrong."),
        ({"was_right": "yes", "actual": "setosa"}, True, "setosa", "You said: it was right and it was setosa."),
        ({"was_right": "no", "actual": "virginica"}, False, "virginica", "it was wrong and it was virginica."),
        ({"actual": "virginica"}, False, "virginica", "it was wrong and it was virginica."),
    ],
)
def test_button_drops_the_class_of_the_list_that_contradicts_it(
    client: Client, iris: ModelVersion, posted: dict[str, str], was_right: bool, actual: str | None, summary: str
) -> None:
    """The list still has the class of earlier feedback selected when somebody presses a button."""
    page = say(client, own(client, iris), comment="Hm.", **posted)

    assert stored() == (was_right, actual, "Hm.")
    assert summary in page.text
